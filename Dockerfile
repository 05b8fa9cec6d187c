# The operator's image. Built by hack/image, which gathers the wheels on the host and gives this file a folder of them as its
# build context: nothing is fetched in here, so that it builds without network, and the same everywhere.
#
# Any base with Python 3.11 will do; the wheels are made for that version.
ARG BASE=python:3.11-slim

FROM ${BASE} AS dependencies
LABEL fairlead.dev/image=operator
ENV PIP_NO_INDEX=1 PIP_NO_DEPS=1 PIP_NO_CACHE_DIR=1 PIP_QUIET=1 PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_ROOT_USER_ACTION=ignore
# pip runs from its own wheel: the base need not bring one, and the image does not keep one.
COPY dependencies/ /wheels/
RUN python3 -m venv --without-pip /opt/fairlead \
 && PYTHONPATH=$(echo /wheels/pip-*.whl) /opt/fairlead/bin/python -m pip install --no-compile \
      --find-links /wheels --requirement /wheels/requirements.lock
# Compiled here, since the running image cannot write. The API client's two thousand models are hardly ever loaded, and
# would double its size.
RUN /opt/fairlead/bin/python -m compileall -q -j 0 -x '/kubernetes/.*/?client/(models|api)/' /opt/fairlead/lib

FROM dependencies AS project
LABEL fairlead.dev/image=operator
COPY project/ /wheels/project/
# What this step adds is set apart by its time of change, to be a layer of its own: a new version of the source is a small one.
RUN touch /before && sleep 0.01 \
 && PYTHONPATH=$(echo /wheels/pip-*.whl) /opt/fairlead/bin/python -m pip install --no-compile /wheels/project/*.whl \
 && /opt/fairlead/bin/python -m compileall -q $(find /opt/fairlead/lib -type d -name fairlead) \
 && /opt/fairlead/bin/fairlead --help >/dev/null \
 && mkdir /added && find /opt/fairlead -type f -cnewer /before -exec cp --parents --target-directory=/added {} +

FROM ${BASE}
LABEL fairlead.dev/image=operator \
      org.opencontainers.image.title=fairlead \
      org.opencontainers.image.licenses=Apache-2.0
ENV PATH=/opt/fairlead/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
# A number, for runAsNonRoot to be checked without looking into the image.
USER 65532:65532
COPY --from=dependencies /opt/fairlead /opt/fairlead
COPY --from=project /added /
ENTRYPOINT ["fairlead"]
CMD ["run", "workloads"]
