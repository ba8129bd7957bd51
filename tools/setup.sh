#!/bin/sh
# Installs what the tests need beside Rust, from Debian's packages (Ubuntu's as well): real RTMP publishers, players
# and a server (nginx-rtmp; Debian's package starts its web server as well) for the e2e tests, Chromium for those of the
# pages, a C++ compiler for the fuzz smoke run; and by npm, below tests/e2e/browser, what drives Chromium. Quick when all
# is there; needs root or sudo otherwise. Prints what it does, and fails with the names of what is still missing.
#
#   tools/setup.sh         for the tests
#   tools/setup.sh stress  for stress: ffmpeg, and what makes networks bad (namespaces, queues, filters)
#   tools/setup.sh bench   for bench-peers: nginx-rtmp
set -u

# program, GStreamer element or file (a pattern) -> package
needs() {
    if [ "$purpose" = bench ]; then
        cat <<'LIST'
program nginx nginx
file /usr/lib/nginx/modules/ngx_rtmp_module.so libnginx-mod-rtmp
LIST
        return
    fi
    if [ "$purpose" = stress ]; then
        cat <<'LIST'
program ffmpeg ffmpeg
program ffprobe ffmpeg
program ip iproute2
program tc iproute2
program nft nftables
program unshare util-linux
program nsenter util-linux
LIST
        return
    fi
    cat <<'LIST'
program ffmpeg ffmpeg
program ffprobe ffmpeg
program gst-launch-1.0 gstreamer1.0-tools
program gst-inspect-1.0 gstreamer1.0-tools
program rtmpdump rtmpdump
program openssl openssl
program curl curl
file /usr/lib/*/gio/modules/libgiognutls.so glib-networking
program cvlc vlc-bin
file /usr/lib/*/vlc/plugins/demux/libavformat_plugin.so vlc-plugin-base
program node nodejs
program npm npm
program chromium chromium
program c++ g++
program nginx nginx
file /usr/lib/nginx/modules/ngx_rtmp_module.so libnginx-mod-rtmp
program curl curl
element flvmux gstreamer1.0-plugins-good
element flvdemux gstreamer1.0-plugins-good
element qtdemux gstreamer1.0-plugins-good
element mp4mux gstreamer1.0-plugins-good
element aacparse gstreamer1.0-plugins-good
element souphttpsrc gstreamer1.0-plugins-good
element h264parse gstreamer1.0-plugins-bad
element rtmp2sink gstreamer1.0-plugins-bad
element rtmp2src gstreamer1.0-plugins-bad
element rtmpsink gstreamer1.0-plugins-bad
element rtspsrc gstreamer1.0-plugins-good
element rtph264pay gstreamer1.0-plugins-good
element rtspclientsink gstreamer1.0-rtsp
LIST
}

has() {
    case $1 in
    # shellcheck disable=SC2086 # a pattern: libraries are below their machine's name
    file) ls -d $2 >/dev/null 2>&1 ;;
    program) command -v "$2" >/dev/null 2>&1 ;;
    element) command -v gst-inspect-1.0 >/dev/null 2>&1 && gst-inspect-1.0 --exists "$2" >/dev/null 2>&1 ;;
    esac
}

# Lines "what package" of all that is not there.
missing() {
    needs | while read -r kind what package; do
        has "$kind" "$what" || echo "$what $package"
    done
}

fail() {
    echo "tools/setup.sh: $*" >&2
    exit 1
}

# The library that drives Chromium, as its lock file says; it brings no browser of its own.
scripts() {
    folder=$(dirname "$0")/../tests/e2e/browser
    [ "$folder/node_modules/.package-lock.json" -nt "$folder/package-lock.json" ] && return
    echo "tools/setup.sh: npm ci in tests/e2e/browser"
    (cd "$folder" && PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1 npm ci --ignore-scripts) ||
        fail "npm could not install what tests/e2e/browser/package-lock.json lists"
}

# What is left when all programs are there.
finish() {
    [ "$purpose" != tests ] || scripts
    echo "tools/setup.sh: $1"
    exit 0
}

purpose=${1-tests}
case $purpose in
tests | bench | stress) ;;
*) fail "no such purpose: $purpose" ;;
esac
absent=$(missing)
[ -n "$absent" ] || finish "everything is installed"

packages=$(echo "$absent" | awk '{ print $2 }' | sort -u | tr '\n' ' ')
echo "tools/setup.sh: missing: $(echo "$absent" | awk '{ print $1 }' | tr '\n' ' ')"
command -v apt-get >/dev/null 2>&1 || fail "no apt-get here: install the equivalents of: $packages"
if [ "$(id -u)" = 0 ]; then
    as_root=
elif command -v sudo >/dev/null 2>&1; then
    as_root=sudo
else
    fail "neither root nor sudo: run as root: apt-get install $packages"
fi

echo "tools/setup.sh: installing: $packages"
$as_root apt-get update -q || echo "tools/setup.sh: apt-get update failed, trying with the lists that are there" >&2
# shellcheck disable=SC2086 # a list of names
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $packages ||
    fail "apt-get could not install: $packages"

absent=$(missing)
[ -z "$absent" ] || fail "still missing after the installation: $(echo "$absent" | tr '\n' ';')"
finish "done"
