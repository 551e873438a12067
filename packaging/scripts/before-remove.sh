# Before the last files are removed; not at an upgrade.
if [ -d /run/systemd/system ]; then
    systemctl disable --now sio.service sio-agent.service || true
fi
