"""What a host's tools print, without card numbers and secrets: before it is recorded, and again before it is handed on.

A card number is 13 to 19 digits, perhaps with single blanks or single hyphens between them, that begin as card networks' numbers do and
whose check digit (Luhn) is right. A secret is what stands behind a name such as `password` or `token`, in an Authorization or
Cookie header, in a URL before the @, in the block of a private key, or has the form of a known kind of key. Hashes, ids, times and
nonces stay. What stands in another form (a password as a sentence's word, text in hexadecimal) can't be known from outside.

Takes time in proportion to the text; what was scrubbed once is not changed by doing it again.
"""

from __future__ import annotations

import re

REMOVED = "[removed]"
CARD = "[card number removed]"
_KEY = "[private key removed]"
_PASSES_MOST = 8
"""What is left behind by one pass hardly ever makes something new for the next."""
_BACK = 160
"""How far a name is looked at before the word that makes it a secret's."""

# -- private keys

_KEY_BEGIN = re.compile(r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
_KEY_END = re.compile(r"-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")

# -- forms that are secrets whatever stands around them

_KNOWN = re.compile(
    r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}\b"  # AWS
    r"|\bgh[pousr]_[A-Za-z0-9]{20,255}|\bgithub_pat_[A-Za-z0-9_]{20,255}|\bglpat-[A-Za-z0-9_-]{16,255}"
    r"|\bxox[abeprs]-[A-Za-z0-9-]{10,255}|\b[rs]k_(?:live|test)_[A-Za-z0-9]{10,255}|\bAIza[A-Za-z0-9_-]{35}"
    r"|\bhm[ij]1\.[A-Za-z0-9_-]{16,4096}"  # an invite of a host or a master
    r"|\beyJ[A-Za-z0-9_-]{8,4096}\.[A-Za-z0-9_-]{8,4096}\.[A-Za-z0-9_-]{0,4096}"  # JSON web token
    r"|\$(?:1|2[abxy]|5|6|7|y|gy|sha1|argon2id?)\$[./A-Za-z0-9$=,+-]{8,512}"  # crypt(3)
)
_URL = re.compile(r"(://[^\s/:@\"'<>]{0,256}):([^\s/@\"'<>]{1,512})@")
_HEADER = re.compile(
    r"(?i)\b((?:proxy-)?authorization|(?:set-)?cookie)(\\?[\"']?[ \t]{0,8}:[ \t]{0,8}[\"']?)"
    r"(digest [^\r\n]*|[^\s\"'][^\r\n\"']*)"
)
_BEARER = re.compile(r"(?i)\b(bearer|basic)( +)[A-Za-z0-9._~+/=-]{16,4096}")

# -- names, and what stands behind them

_NAME = (
    r"(?:password|passwd|passphrase|passcode|pwd|secret|token|credentials?|cvv2?|cvc2?|psk"
    r"|(?:api|access|account|auth|client|encryption|private|secret|shared|signing)[_-]?key|(?<![a-z])pass)"
)
_VALUE = r"\"(?:[^\"\\\r\n]|\\[^\r\n])*\"?|'[^'\r\n]*'?|\\\"[^\"\r\n]*\"?|[^\s\"']+"
_NAMED = re.compile(
    rf"(?i)({_NAME})(?![a-z0-9_-])(\\?[\"']?[ \t]{{0,8}}(?:=>|:=|[:=])[ \t]{{0,8}})({_VALUE})"
)
_LINE = re.compile(
    rf"(?im)^([ \t]{{0,64}}(?:[-#;][ \t]{{0,8}})?[\w.-]{{0,64}}?{_NAME})([ \t]{{0,8}}:[ \t]{{1,8}})"
    r"([^\s\"'][^\r\n]*)"
)
"""A line of a file of settings, whose value goes on to its end."""
_GIVEN = re.compile(rf"(?i)({_NAME})([ \t]{{1,8}})(?!-)({_VALUE})")
"""An option of a command line, where a `-` begins it."""
_TOLD = frozenset(
    {"yes", "no", "true", "false", "on", "off", "none", "null", "0", "1", "x", "*", "!", "''", '""'}
)
"""Values that say whether there is a secret, and what may be known of it: `x` in /etc/passwd."""


def scrubbed(text: str) -> str:
    """The text without what may not be kept."""
    for _ in range(_PASSES_MOST):
        before, text = text, _pass(text)
        if text == before:
            break
    return text


def _pass(text: str) -> str:
    text = _without_keys(text)
    text = _URL.sub(rf"\1:{REMOVED}@", text)
    text = _HEADER.sub(_header, text)
    text = _BEARER.sub(rf"\1\2{REMOVED}", text)
    text = _LINE.sub(_named, text)
    text = _NAMED.sub(_named, text)
    text = _GIVEN.sub(_given, text)
    text = _KNOWN.sub(REMOVED, text)
    return _DIGITS.sub(_digits, text)


def _without_keys(text: str) -> str:
    """Also of one whose end was cut off."""
    kept: list[str] = []
    at = 0
    while True:
        begin = _KEY_BEGIN.search(text, at)
        if begin is None:
            return "".join((*kept, text[at:])) if kept else text
        kept += [text[at : begin.start()], _KEY]
        end = _KEY_END.search(text, begin.end())
        at = len(text) if end is None else end.end()


def _header(found: re.Match[str]) -> str:
    return f"{found[1]}{found[2]}{REMOVED}"


def _named(found: re.Match[str]) -> str:
    name, between, value = found[1], found[2], found[3]
    if value.lower().rstrip(",;") in _TOLD or (name.lower() == "pwd" and value.startswith("/")):
        return found[0]
    if _is_path(_word_before(found) + name):
        return found[0]
    return f"{name}{between}{_in_quotes(value)}"


def _given(found: re.Match[str]) -> str:
    if found[3].lower() in _TOLD or not _word_before(found).startswith("-"):
        return found[0]
    return f"{found[1]}{found[2]}{_in_quotes(found[3])}"


def _word_before(found: re.Match[str]) -> str:
    """What stands directly before, up to a blank."""
    before = found.string[max(0, found.start() - _BACK) : found.start()]
    return before.split()[-1] if before and not before[-1].isspace() else ""


def _is_path(word: str) -> bool:
    """As in `/etc/passwd: OK`. What follows ? or & in a URL is a name."""
    return "/" in word and not any(each in word for each in "?&=:\"'")


def _in_quotes(value: str) -> str:
    for quote in ('\\"', '"', "'"):
        if value.startswith(quote):
            return f"{quote}{REMOVED}{quote}"
    return REMOVED


# -- card numbers

_DIGITS = re.compile(
    r"(?P<uuid>(?<![0-9A-Za-z])[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}(?![0-9A-Za-z]))"
    r"|(?P<hex>(?<![0-9A-Za-z])(?=[0-9]*[A-Fa-f])[0-9A-Fa-f]{28,})"
    r"|(?P<run>(?<![0-9])[0-9](?:[ -]?[0-9]){12,})"
)
_GROUPS = re.compile(r"[0-9]+")
_SHORTEST, _LONGEST = 13, 19
# Beginnings of the networks' numbers: from, to (as many digits), and how long such numbers are.
_NETWORKS = (
    ("4", "4", (13, 16, 19)),
    ("51", "55", (16,)),
    ("2221", "2720", (16,)),
    ("2200", "2204", (16, 17, 18, 19)),
    ("34", "34", (15,)),
    ("37", "37", (15,)),
    ("300", "305", (14, 15, 16, 17, 18, 19)),
    ("3095", "3095", (14, 15, 16, 17, 18, 19)),
    ("36", "36", (14, 15, 16, 17, 18, 19)),
    ("38", "39", (14, 15, 16, 17, 18, 19)),
    ("3528", "3589", (16, 17, 18, 19)),
    ("50", "50", (13, 14, 15, 16, 17, 18, 19)),
    ("56", "58", (13, 14, 15, 16, 17, 18, 19)),
    ("60", "69", (13, 14, 15, 16, 17, 18, 19)),
    ("81", "82", (16,)),
)
_FIRST_DIGITS = frozenset(first[0] for first, _, _ in _NETWORKS)


def is_card_number(digits: str) -> bool:
    """Whether it has the beginning, the length and the check digit of one."""
    known = any(
        len(digits) in lengths and first <= digits[: len(first)] <= last
        for first, last, lengths in _NETWORKS
    )
    return known and len(set(digits)) > 1 and _luhn(digits)


def _luhn(digits: str) -> bool:
    total = 0
    for number, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + number % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def _digits(found: re.Match[str]) -> str:
    run = found["run"]
    if run is None or _is_fraction(found):
        return found[0]
    groups = list(_GROUPS.finditer(run))
    kept, at, first = [], 0, 0
    while first < len(groups):
        last = _last_of_card(run, groups, first)
        if last < 0:
            first += 1
            continue
        kept += [run[at : groups[first].start()], CARD]
        at, first = groups[last].end(), last + 1
    return "".join((*kept, run[at:]))


def _last_of_card(run: str, groups: list[re.Match[str]], first: int) -> int:
    """The last of the groups of digits, from the first one on, that are a card number together; -1: none are. What has both blanks
    and hyphens are times and columns."""
    digits = ""
    if groups[first][0][0] not in _FIRST_DIGITS:
        return -1
    gap = run[groups[first].end() : groups[first].end() + 1]
    for number in range(first, min(first + _LONGEST, len(groups))):
        digits += groups[number][0][: _LONGEST + 1]
        if len(digits) > _LONGEST:
            return -1
        if len(digits) >= _SHORTEST and is_card_number(digits):
            return number
        end = groups[number].end()
        if run[end : end + 1] != gap:
            return -1
    return -1


def _is_fraction(found: re.Match[str]) -> bool:
    """Digits behind a number's point."""
    text, at = found.string, found.start()
    return at >= 2 and text[at - 1] == "." and text[at - 2].isdigit()
