"""A server in a network namespace of its own, for tests of the proxy: python answering.py NAME [proxy].

It says `apart` once it is in its namespace, waits for a line, and listens on port 80. A request of HTTP is answered with JSON: the server's name, the
address of who connected, and the one that was passed on: by the PROXY protocol where `proxy` is given, and then it is waited for, and by X-Forwarded-For
(or X_Forwarded_For, as gateways have it). `CONNECT` is granted, and requests that follow are answered as before.
`echo` on a line comes back, for as long as the connection stays.
"""

from __future__ import annotations

import json
import socket
import sys
import threading

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def main() -> None:
    name, is_proxied = sys.argv[1], "proxy" in sys.argv[2:]
    print("apart", flush=True)
    sys.stdin.readline()
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("0.0.0.0", 80))
        listener.listen(1024)
        print("listening", flush=True)
        while True:
            link, (caller, _) = listener.accept()
            threading.Thread(
                target=serve, args=(link, caller, name, is_proxied), daemon=True
            ).start()


def serve(link: socket.socket, caller: str, name: str, is_proxied: bool) -> None:
    with link, link.makefile("rb") as lines:
        try:
            passed = told_by_proxy(lines) if is_proxied else ""
            while line := lines.readline():
                if not line.startswith((b"GET ", b"CONNECT ")):
                    link.sendall(line)
                    continue
                headers = []
                while (header := lines.readline().strip()) != b"":
                    headers.append(header.decode().partition(": "))
                if line.startswith(b"CONNECT "):
                    link.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                    continue
                names = [key.lower().replace("_", "-") for key, _, _ in headers]
                said = [value for _, _, value in headers]
                forwarded = [value for name, value in zip(names, said) if name == "x-forwarded-for"]
                told = {"name": name, "caller": caller, "proxy": passed, "forwarded": forwarded}
                body = json.dumps(told).encode()
                head = (
                    f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
                )
                link.sendall(head.encode() + body)
                return
        except OSError:
            return


def told_by_proxy(lines) -> str:
    """The PROXY protocol, version 2: HAProxy's proxy-protocol.txt, section 2.2."""
    head = lines.read(16)
    if head[:12] != SIGNATURE:
        return "no header"
    rest = lines.read(int.from_bytes(head[14:16], "big"))
    return socket.inet_ntoa(rest[:4]) if head[13] == 0x11 else "local"


if __name__ == "__main__":
    main()
