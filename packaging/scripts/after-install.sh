# After files are unpacked. Nothing is started that was not running: there is
# nothing to watch before /etc/scaleio-framework/sio.toml names a system.
chown root:scaleio-framework /etc/scaleio-framework /etc/scaleio-framework/sio.toml
chmod 0750 /etc/scaleio-framework
[ -d /var/lib/scaleio-framework ] || install -d -m 0700 -o scaleio-framework -g scaleio-framework /var/lib/scaleio-framework
if [ -d /run/systemd/system ]; then
    systemd-tmpfiles --create scaleio-framework.conf || true
    systemctl daemon-reload
    # Those that run change to this release; the controller checks its configuration first.
    systemctl try-restart sio.service sio-agent.service || echo "scaleio-framework: see journalctl -u sio" >&2
fi
