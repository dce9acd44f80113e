# JupyterLab with the book and its pinned environment:
#   docker build -t nrm-book . && docker run --rm -p 127.0.0.1:8888:8888 nrm-book
FROM python:3.11-bookworm
RUN useradd --create-home reader
WORKDIR /home/reader/book
COPY --chown=reader . .
RUN chown reader .
USER reader
RUN make .venv/.ready
EXPOSE 8888
CMD [".venv/bin/jupyter", "lab", "book", "--ip", "0.0.0.0", "--no-browser"]
