"""An API to read from, for trying out: answers GET /events?after=CURSOR&limit=N from input/orders.json, one order per line."""

import http.server
import json
import pathlib
import urllib.parse

ORDERS = pathlib.Path(__file__).parent / "input" / "orders.json"


class Events(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        query = urllib.parse.parse_qs(url.query)
        after = int(query.get("after", ["0"])[0])
        limit = int(query.get("limit", ["100"])[0])
        # Read anew for every request: a line that is added is read by the agent.
        orders = [line for line in ORDERS.read_text().splitlines() if json.loads(line)["id"] > after]
        body = ("[" + ",".join(orders[:limit]) + "]").encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


http.server.ThreadingHTTPServer(("127.0.0.1", 5070), Events).serve_forever()
