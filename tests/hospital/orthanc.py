"""Orthanc on this machine, started and stopped by the tests. It notes every image that it receives."""

import json
import resource
import shutil
import signal
import subprocess
import time
from pathlib import Path
from threading import Thread

import httpx
import pytest

from release import free_port

PROGRAM = shutil.which("Orthanc") or shutil.which("Orthanc", path="/usr/sbin:/usr/local/sbin")
PLUGIN = next(iter(Path("/usr/share/orthanc/plugins").glob("libOrthancDicomWeb.so*")), None)
TITLE = "ORTHANC"
_SCRIPT = """
function ReceivedInstanceFilter(dicom, origin)
  print('RECEIVED ' .. dicom.SOPInstanceUID)
  return true
end
"""


class Orthanc:
    """One Orthanc.

    Args:
        folder: for its files.
        peer_port: the port at which it reaches this program, as modality "ich".
    """

    def __init__(self, folder: Path, peer_port: int = 0):
        if not PROGRAM:
            pytest.skip("Orthanc is not installed here: apt-get install orthanc brings it.")
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.dicom_port, self.http_port = folder, free_port(), free_port()
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{self.http_port}", trust_env=False, timeout=20)
        self.web_url = f"http://127.0.0.1:{self.http_port}/dicom-web"
        (folder / "count.lua").write_text(_SCRIPT)
        self._settings = {
            "StorageDirectory": str(folder / "kept"),
            "IndexDirectory": str(folder / "kept"),
            "HttpPort": self.http_port,
            "DicomPort": self.dicom_port,
            "DicomAet": TITLE,
            "DicomCheckCalledAet": True,
            "DicomServerEnabled": True,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "DicomAlwaysAllowStore": True,
            "DicomAlwaysAllowFind": True,
            "OverwriteInstances": False,
            "SaveJobs": False,
            "ConcurrentJobs": 1,
            "DicomModalities": {"ich": ["ICHLIB", "127.0.0.1", peer_port or 1]},
            "LuaScripts": [str(folder / "count.lua")],
            "Plugins": [str(PLUGIN)] if PLUGIN else [],
            "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
        }
        (folder / "orthanc.json").write_text(json.dumps(self._settings))
        self.process, self.lines = None, []

    def start(self):
        self.process = subprocess.Popen(
            [PROGRAM, str(self.folder / "orthanc.json")],
            stdout=subprocess.PIPE,  # no log file: it could not be written either if the disk is full
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            preexec_fn=lambda: signal.signal(signal.SIGXFSZ, signal.SIG_IGN),
        )
        self._reader = Thread(target=lambda stream: self.lines.extend(stream), args=(self.process.stdout,))
        self._reader.start()
        for _ in range(600):
            try:
                self.http.get("/system").raise_for_status()
                return self
            except httpx.HTTPError:
                assert self.process.poll() is None, self.lines[-20:]
                time.sleep(0.05)
        raise AssertionError("Orthanc does not answer.")

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            self.process.wait(30)
        if self.process:
            self._reader.join()
            self.process.stdout.close()

    def end(self):
        self.stop()
        self.http.close()

    def hang(self):
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self):
        self.process.send_signal(signal.SIGCONT)

    def fill_disk(self):
        """Writing fails for every file above some size, as on a full disk."""
        resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))

    def free_disk(self):
        resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    def received(self):
        """UIDs of all images that it ever received, in order."""
        return [line.split("RECEIVED ")[1].strip() for line in list(self.lines) if "RECEIVED " in line]

    def kept(self):
        """UIDs of the images that it has."""
        found = self.http.get("/instances", params={"expand": ""}).json()
        return sorted(instance["MainDicomTags"]["SOPInstanceUID"] for instance in found)

    def clear(self):
        for patient in self.http.get("/patients").json():
            self.http.delete(f"/patients/{patient}").raise_for_status()

    def upload(self, paths):
        for path in paths:
            self.http.post("/instances", content=path.read_bytes()).raise_for_status()
