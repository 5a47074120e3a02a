"""An S3 server that prints `listening PORT` and ends with its standard input.

Its first argument is how many milliseconds it thinks about each part of an upload: time in which a client can die.
"""

import os
import sys
import threading
import time

from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

pause = int(sys.argv[1]) / 1000
application = DomainDispatcherApplication(create_backend_app)


def slowly(environ, start_response):
    if environ["REQUEST_METHOD"] == "PUT" and "partNumber=" in environ.get("QUERY_STRING", ""):
        time.sleep(pause)
    return application(environ, start_response)


def end_with_input():
    sys.stdin.read()
    os._exit(0)


server = make_server("127.0.0.1", 0, slowly, threaded=True)
threading.Thread(target=end_with_input, daemon=True).start()
print("listening", server.server_port, flush=True)
server.serve_forever()
