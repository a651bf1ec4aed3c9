#!/bin/sh
# run.sh [DIR] - a site to try Cordon with: made once below build/run, served on 127.0.0.1.
#
# Admits the files of DIR, or about 200 programs that every Debian machine has. Prints what to paste.
set -eu

top=$PWD
cordon=$top/build/cordon
run=$top/build/run
site=$run/site
port=${PORT:-8080}
product=tools
org='Example Works'
user=updates
export CORDON_PASSPHRASE_FILE="$run/passphrase"

# Essential packages: any Debian has them, so any two machines of one release admit the same files.
choose() {
    version=$(cut -d. -f1 </etc/debian_version | tr -cd 'A-Za-z0-9-')
    mkdir -p "$run/files"
    for package in coreutils util-linux bash grep sed tar gzip findutils diffutils dpkg; do
        dpkg -L "$package" | grep -E '^(/usr)?/s?bin/' || true
    done | sort -u | while read -r file; do
        name=${file##*/}
        case $name in
        *[!A-Za-z0-9._+~-]* | .*) continue ;;
        esac
        if [ -f "$file" ] && [ ! -L "$file" ]; then
            cp "$file" "$run/files/$name"
        fi
    done
    printf '%s' "$version"
}

if [ ! -f "$run/ready" ]; then
    rm -rf "$run"
    mkdir -p "$run"
    "$cordon" init "$site" --name localhost/demo --random-passphrase "$CORDON_PASSPHRASE_FILE" \
        --keyring-copy "$run/keyring.copy" >/dev/null
    # a demonstration must not depend on how old this machine's virus database is
    sed -i '/^clamd:/,/^[a-z]*:$/s/^\( *max_age:\).*/\1 none/' "$site/cordon.yaml"
    if [ $# -gt 0 ]; then
        version=1
        "$cordon" -C "$site" admit "$1" --product $product --version $version --rename ||
            [ $? -eq 1 ] # some were refused: the command said which
    else
        version=$(choose)
        "$cordon" -C "$site" admit "$run/files" --product $product --version "$version"
    fi
    "$cordon" -C "$site" org add "$org" --contact security@example.com
    "$cordon" -C "$site" org grant "$org" $product
    "$cordon" -C "$site" account add --org "$org" --json $user >"$run/account.json"
    printf '%s' "$version" >"$run/version"
    : >"$run/ready"
fi

version=$(cat "$run/version")
token=$(sed -n 's/.*"token":"\([0-9a-f]*\)".*/\1/p' "$run/account.json")
# the first file of the version that was admitted, and its digest
"$cordon" -C "$site" release show $product "$version" --json >"$run/show.json"
path=$(sed 's/{/\n{/g' "$run/show.json" | sed -n 's/^{"target":"\([^"]*\)".*/\1/p' | head -n 1)
sha=$(sed 's/{/\n{/g' "$run/show.json" | sed -n 's/^{"target":.*"sha256":"\([0-9a-f]*\)".*/\1/p' | head -n 1)
blob=$site/blobs/$(printf '%s' "$sha" | cut -c1-2)/$(printf '%s' "$sha" | cut -c3-)
url=http://127.0.0.1:$port

cat <<TEXT

  The server listens on $url; its page shows how to fetch and verify.
  Customer: $org, user $user, token $token

  Paste these in another terminal:

  1. download a file        curl -fu $user:$token -o /tmp/file $url/d/$path && sha256sum /tmp/file
  2. verify the log         $cordon -C $site log verify
  3. break it on the disk   chmod u+w $blob && printf X | dd of=$blob bs=1 seek=100 conv=notrunc
  4. see it refused         curl -u $user:$token $url/d/$path; $cordon -C $site log tail

  Ctrl-C stops the server. \`rm -r build/run\` and start again for a fresh site.

TEXT
exec "$cordon" -C "$site" serve --listen "127.0.0.1:$port"
