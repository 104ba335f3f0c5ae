"""Make the browser library of the demo's 3D view once more: the parts of three.js that it needs, in one small file.

python docs/three.py   needs npm; writes ich_lib/demo/viewer/three.min.js
"""

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[1]
TARGET = ROOT / "ich_lib" / "demo" / "viewer" / "three.min.js"
THREE, ESBUILD = "0.187.0", "0.28.2"
PARTS = {
    "three": "AmbientLight, BufferAttribute, BufferGeometry, DirectionalLight, Matrix4, Mesh, MeshStandardMaterial, "
    "PerspectiveCamera, Scene, Spherical, Vector3, WebGLRenderer",
    "three/addons/controls/OrbitControls.js": "OrbitControls",
    "three/addons/objects/MarchingCubes.js": "MarchingCubes",
}


def main() -> int:
    """Install both from npm into a folder that goes away, and bundle."""
    with TemporaryDirectory() as folder:
        subprocess.run(
            ["npm", "install", "--no-audit", "--no-fund", f"three@{THREE}", f"esbuild@{ESBUILD}"],
            cwd=folder,
            check=True,
        )
        entry, out = Path(folder) / "entry.js", Path(folder) / "out.js"
        entry.write_text("".join(f'export {{ {names} }} from "{place}";\n' for place, names in PARTS.items()))
        bundle = ["--bundle", "--minify", "--format=esm", "--legal-comments=none", f"--outfile={out}"]
        subprocess.run(["node_modules/.bin/esbuild", str(entry), *bundle], cwd=folder, check=True)
        terms = (Path(folder) / "node_modules" / "three" / "LICENSE").read_text(encoding="utf-8").strip()
        head = f"/*! three.js {THREE}, https://threejs.org, bundled and minified by docs/three.py.\n\n{terms}\n*/\n"
        TARGET.write_text(head + out.read_text(encoding="utf-8"), encoding="utf-8")
    print(f"{TARGET.relative_to(ROOT)}: {TARGET.stat().st_size / 1000:.0f} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
