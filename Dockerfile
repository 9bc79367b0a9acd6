# JupyterLab with the course, or the explorer, as a user without root:
#   docker build -t leuknb .
#   docker run --rm -p 8888:8888 leuknb
#   docker run --rm -p 8866:8866 -v "$PWD/runs:/home/student/runs" leuknb leuknb explore runs/mine --host 0.0.0.0 --port 8866 --no-browser
FROM python:3.12-slim

RUN useradd --create-home --uid 1000 student
COPY . /opt/leuknb
RUN pip install --no-cache-dir --extra-index-url https://download.pytorch.org/whl/cpu -c /opt/leuknb/constraints.txt "/opt/leuknb[course]"

USER student
WORKDIR /home/student
ENV OMP_NUM_THREADS=2 MPLBACKEND=agg
RUN leuknb course course
EXPOSE 8888 8866
CMD ["jupyter", "lab", "--ip=0.0.0.0", "--no-browser", "course/000_tour.ipynb"]
