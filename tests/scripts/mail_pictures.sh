#!/bin/sh
# Takes the pictures docs/pictures/mail-*.png: a firing mail, a resolution and
# a weekly report, as Chromium shows them on a phone (390 px) and on a desk
# (1000 px), in light and for the first one also in dark mode.
# Needs: apt-get install chromium fonts-dejavu-core
set -eu
cd "$(dirname "$0")/../.."

cargo test --quiet --test mail samples_for_pictures >/dev/null
samples=$(find "${CARGO_TARGET_DIR:-target}/tmp/mail-samples" -maxdepth 0)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p docs/pictures

# The mail stands in a frame of the wanted width, since a browser window is
# never as narrow as a phone; the frame tells how high it is.
python3 - "$samples" "$work" <<'PYTHON'
import email, email.policy, html, pathlib, sys
samples, work = map(pathlib.Path, sys.argv[1:])
for path in sorted(samples.glob("*.eml")):
    mail = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
    page = mail.get_body(("html",)).get_content()
    for width in (390, 1000):
        for mode in ("light", "dark"):
            back, front = ("#ffffff", "#000000") if mode == "light" else ("#121212", "#e8e8e8")
            # A reader in dark mode brings its own two colours, as here.
            shown = page.replace("<body style=\"", f"<body style=\"background:{back};color:{front};", 1)
            shown = shown.replace("<head>", f"<head><style>:root{{color-scheme:{mode}}}</style>", 1)
            frame = html.escape(shown, quote=True)
            (work / f"{path.stem}-{width}-{mode}.html").write_text(
                f'<!doctype html><body style="margin:0;background:{back}">'
                f'<iframe id=m srcdoc="{frame}" style="border:0;width:{width}px;height:100px" '
                'onload="h=this.contentDocument.documentElement.scrollHeight;w=this.contentDocument.documentElement.scrollWidth;'
                "this.style.height=h+'px';document.title=w+'x'+h\"></iframe>",
                encoding="utf-8",
            )
PYTHON

browser() {
    timeout 60 chromium --headless=new --no-sandbox --disable-gpu --hide-scrollbars --disable-background-networking \
        --disable-component-update --disable-sync --no-first-run --user-data-dir="$work/profile" "$@" 2>>"$work/log"
}

take() { # name width mode picture
    page="file://$work/$1-$2-$3.html"
    size=$(browser --dump-dom --window-size=1200,900 "$page" | sed -n 's/.*<title>\([0-9]*x[0-9]*\)<.*/\1/p')
    [ -n "$size" ] || { echo "$1 at $2 px has no size; chromium said:" >&2; cat "$work/log" >&2; exit 1; }
    [ "${size%x*}" -le "$2" ] || { echo "$1 is ${size%x*} px wide and does not fit $2 px" >&2; exit 1; }
    browser --force-device-scale-factor=1 --window-size="$2,${size#*x}" --screenshot="$PWD/docs/pictures/$4" "$page"
    echo "docs/pictures/$4 $size"
}

for width in 390 1000; do
    for name in firing resolved weekly; do
        take "$name" "$width" light "mail-$name-$width.png"
    done
done
take firing 390 dark mail-firing-390-dark.png
