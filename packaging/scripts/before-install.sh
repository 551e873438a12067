# Before files are unpacked: the user that the controller runs as.
getent group scaleio-framework >/dev/null || groupadd --system scaleio-framework
getent passwd scaleio-framework >/dev/null ||
    useradd --system --gid scaleio-framework --home-dir /var/lib/scaleio-framework --no-create-home \
        --shell /bin/false --comment "scaleio-framework" scaleio-framework
