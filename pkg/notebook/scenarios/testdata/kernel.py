"""Runs cells in a GoNB kernel, as a Jupyter front end does.

Each line of standard input is a JSON object:

    {"run": [source, ...]}    queue these cells at once, as Run All does; the answer is one line for each, as it ends
    {"interrupt": true}       press the stop button; no answer, and allowed while cells run
    {"restart": true}         restart the kernel; the answer is {"restarted": true}

At the end of standard input, and on SIGTERM, the kernel is shut down.
"""
import hashlib
import json
import queue
import signal
import sys
import threading
import time

from jupyter_client.manager import start_new_kernel

PATIENCE = 120  # seconds without any message from the kernel


class Cell:
    """What a front end shows under a cell."""

    def __init__(self):
        self.started = self.seconds = None
        self.status = ""
        self.stdout = self.stderr = ""
        self.displays = []  # display id, data by type: what is on the page
        self.states = []  # everything that was ever shown, in its order

    def take(self, kind, content):
        if kind == "stream" and content["name"] == "stdout":
            self.stdout += content["text"]
        elif kind == "stream":
            self.stderr += content["text"]
        elif kind == "error":
            self.stderr += "\n".join(content["traceback"])
        elif kind in ("display_data", "execute_result"):
            self.displays.append([content.get("transient", {}).get("display_id"), content["data"]])
            self.note(*self.displays[-1])
        elif kind == "update_display_data":
            name = content["transient"]["display_id"]
            for shown in self.displays:
                if shown[0] == name:
                    shown[1] = content["data"]
                    self.note(*shown)

    def note(self, name, data):
        picture = data.get("image/png") or data.get("image/jpeg") or ""
        self.states.append({"display": name or "", "html": data.get("text/html", ""), "picture": hashlib.sha256(picture.encode()).hexdigest() if picture else ""})

    def answer(self):
        data = [d for _, d in self.displays]
        return {
            "ok": self.status == "ok",
            "seconds": self.seconds,
            "stdout": self.stdout,
            "stderr": self.stderr,
            "html": "".join(d.get("text/html", "") for d in data),
            "pictures": sum("image/png" in d or "image/jpeg" in d for d in data),
            "states": self.states,
        }


def say(answer):
    print(json.dumps(answer), flush=True)


def run(client, sources):
    ids = [client.execute(source) for source in sources]
    cells = {id: Cell() for id in ids}
    while ids:
        message = client.get_iopub_msg(timeout=PATIENCE)
        id, kind, content = message["parent_header"].get("msg_id"), message["msg_type"], message["content"]
        if id not in cells:
            continue
        cell = cells[id]
        cell.take(kind, content)
        if kind == "status" and content["execution_state"] == "busy":
            cell.started = time.monotonic()
        if kind == "status" and content["execution_state"] == "idle":
            cell.seconds = time.monotonic() - cell.started
            cell.status = reply(client, id)
            ids.remove(id)
            say(cell.answer())


def reply(client, id):
    while True:
        message = client.get_shell_msg(timeout=PATIENCE)
        if message["parent_header"].get("msg_id") == id:
            return message["content"]["status"]


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    # Standard output is for answers alone.
    manager, client = start_new_kernel(startup_timeout=PATIENCE, kernel_name="gonb", stdout=sys.stderr)
    jobs = queue.Queue()

    def read():
        for line in sys.stdin:
            job = json.loads(line)
            if "interrupt" in job:
                manager.interrupt_kernel()
            else:
                jobs.put(job)
        jobs.put(None)

    threading.Thread(target=read, daemon=True).start()
    try:
        for job in iter(jobs.get, None):
            if "run" in job:
                run(client, job["run"])
            else:
                manager.restart_kernel()
                client.wait_for_ready(timeout=PATIENCE)
                say({"restarted": True})
    finally:
        client.stop_channels()
        manager.shutdown_kernel()


main()
