"""Users to look up, for trying out: answers GET /users/ID from users.json."""

import http.server
import json
import pathlib

USERS = json.loads((pathlib.Path(__file__).parent / "users.json").read_text())


class Users(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        user = USERS.get(self.path.removeprefix("/users/"))
        body = b"" if user is None else json.dumps(user).encode()
        self.send_response(404 if user is None else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    http.server.ThreadingHTTPServer(("127.0.0.1", 5071), Users).serve_forever()
