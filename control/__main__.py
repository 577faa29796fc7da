"""`python -m control` runs the app; the supervisor does."""

import logging

import uvicorn

from control.app import app
from serving.settings import LOOPBACK, Settings


def main() -> None:
    settings = Settings()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)-5s %(name)s - %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    # Envoy's access log has every request already.
    uvicorn.run(app(settings), host=LOOPBACK, port=settings.control_port, log_config=None, access_log=False)


if __name__ == "__main__":
    main()
