"""Handler for tests that returns what TorchServe passed to it, and logs it in the file that log.txt names."""

import json
from pathlib import Path


class EchoHandler:
    def initialize(self, context):
        folder = Path(context.system_properties["model_dir"])
        self.log = Path((folder / "log.txt").read_text())
        self.fails = (folder / "fails.txt").exists()

    def handle(self, rows, context):
        return [self.echo(row, context, index) for index, row in enumerate(rows)]

    def echo(self, row, context, index):
        headers = {name.lower(): value for name, value in context.get_all_request_header(index).items()}
        got = {
            "fields": {name: type(value).__name__ for name, value in row.items()},
            "content_type": headers.get("content-type"),
            "sent": headers.get("x-marina-content-type"),
        }
        with self.log.open("a") as file:
            file.write(json.dumps(got) + "\n")
        context.set_response_content_type(index, "application/json")
        if self.fails:
            context.set_response_status(500, "On purpose", index)
        return json.dumps(got)
