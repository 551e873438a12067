# After the last files are removed. State, configuration and the user stay.
rm -rf /run/scaleio-framework
if [ -d /run/systemd/system ]; then
    systemctl daemon-reload
    systemctl reset-failed sio.service sio-agent.service 2>/dev/null || true
fi
