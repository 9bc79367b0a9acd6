"How a program uses the public names; mypy checks it against their types. Lines marked `wrong` must be refused."
from pathlib import Path

import leuknb
from leuknb.calibration import screen
from leuknb.data import Catalogue, catalogue
from leuknb.lib.course import write_course
from leuknb.lib.hub import pull
from leuknb.lib.runs import Run
from leuknb.metrics import metrics_table, wilson
from leuknb.results import predict, reproduce

images: Catalogue = catalogue("DIR", on_bad="skip", min_size=32)
run: Run = reproduce("DIR", Path("out"), audit=False)
table = predict(run, ["new.jpg"], model="alexnet/svm/original")
low, high = wilson(20, 20)
said: str = write_course("course", teacher=True)
folder: Path = pull("me/model", "out")
number: int = leuknb.__version__  # wrong
catalogue("DIR", min_size="32")  # wrong
reproduce("DIR")  # wrong
write_course("course", answers=True)  # wrong
Run()  # wrong
print(screen, metrics_table, table, images, low, high, said, folder, number)
