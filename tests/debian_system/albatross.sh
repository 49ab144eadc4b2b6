# What test_tools.py reads of a system that has just been booted; bash, for /dev/tcp.
systemctl start albatross_console albatross_daemon albatross_stats
for one in console daemon stats; do
  echo "$one: $(systemctl is-active albatross_$one.service albatross_$one.socket | tr '\n' ' ')"
done
echo "influx: $(systemctl is-enabled albatross_influx)"
endpoint="albatross_tls_endpoint.service albatross_tls_endpoint.socket"
echo "endpoint: $(systemctl is-enabled $endpoint | tr '\n' ' ')"
for path in /run/albatross /run/albatross/util /run/albatross/fifo /run/albatross/util/*.sock \
  /var/lib/albatross /var/lib/albatross/block; do
  stat -c 'mode %n %U:%G %a' "$path"
done
for one in console vmmd stat; do
  albatross-client /run/albatross/util/$one.sock
done
systemctl show -p Environment albatross_tls_endpoint.service
echo ca >/etc/albatross/cacert.pem; echo cert >/etc/albatross/server.pem
echo secret >/etc/albatross/server.key; chmod 600 /etc/albatross/server.key
echo 'INFLUX=10.0.0.9:1' >>/etc/albatross/influx.conf
systemctl start $endpoint albatross_influx
sleep 1
exec 9<>/dev/tcp/127.0.0.1/1025; cat <&9
journalctl -b -u albatross_influx -o cat --no-pager | sed 's/^/journal: /'
systemctl stop albatross_daemon.socket albatross_daemon
echo "stopped: $(systemctl is-active albatross_daemon)"
for one in console daemon stats influx tls_endpoint; do
  systemd-analyze security --no-pager albatross_$one |
    sed -n "s/.*Overall exposure level.*: /exposure $one /p"
done
systemctl --failed --no-legend --no-pager | sed 's/^/failed unit: /'
