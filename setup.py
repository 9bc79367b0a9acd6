"Packaging, read from settings.ini."
import shutil
from configparser import ConfigParser
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

here = Path(__file__).parent
config = ConfigParser(delimiters=["="])
config.read(here / "settings.ini", encoding="utf-8")
cfg = config["DEFAULT"]
extras = {k.removesuffix("_requirements"): v.split() for k, v in cfg.items() if k.endswith("_requirements")}

url = f"https://github.com/{cfg['user']}/{cfg['repo']}"


class WithCourse(build_py):
    "Packs the notebooks, too; `leuknb course` writes them out."

    def run(self):
        super().run()
        if not self.editable_mode:  # there, they are read where they lie
            course = Path(self.build_lib, "leuknb", "assets", "course")
            shutil.rmtree(course, ignore_errors=True)
            for path in (*sorted((here / "nbs").glob("[0-9r]*.ipynb")), *sorted((here / "nbs" / "images").iterdir())):
                target = course / path.relative_to(here / "nbs")
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, target)


setup(
    name=cfg["lib_name"],
    version=cfg["version"],
    description=cfg["description"],
    long_description=(here / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    keywords=cfg["keywords"],
    author=cfg["author"],
    license="Apache-2.0",
    license_files=["LICENSE"],
    packages=find_packages(include=["leuknb", "leuknb.*"]),
    include_package_data=True,
    package_data={"leuknb": ["py.typed", "assets/**/*"]},
    cmdclass={"build_py": WithCourse},
    url=url,
    project_urls={"Documentation": cfg["doc_host"] + cfg["doc_baseurl"],
                  "Changelog": f"{url}/blob/{cfg['branch']}/CHANGELOG.md", "Issues": f"{url}/issues"},
    install_requires=cfg["requirements"].split(),
    extras_require=extras,
    python_requires=f">={cfg['min_python']}",
    entry_points={"console_scripts": cfg["console_scripts"].split(), "nbdev": ["leuknb=leuknb._modidx:d"]},
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Intended Audience :: Science/Research",
        "Intended Audience :: Education",
        "Programming Language :: Python :: 3",
        "Topic :: Scientific/Engineering :: Medical Science Apps.",
    ],
    zip_safe=False,
)
