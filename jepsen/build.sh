# Builds the harness and its shim in build/jepsen, from sources that are pinned in go.sum. For
# jepsen/run and jepsen/check, which set `root` first; sets `jepsen`, `shim` and `claded`.

# Debian's own toolchain has this, wherever another one is on the PATH.
command -v go >/dev/null || PATH=$PATH:/usr/lib/go/bin
command -v go >/dev/null || {
    echo 'jepsen: there is no go: install golang-go (deploy/packages test does)' >&2
    exit 2
}
mkdir -p "$root/build/jepsen"
jepsen=$root/build/jepsen/jepsen
shim=$root/build/jepsen/shim.so
(cd "$root/jepsen" && GOFLAGS=-mod=readonly GOTOOLCHAIN=local go build -o "$jepsen" .) || exit 2
# Not written over while the nodes of another run may be starting with it.
if [ "$root/jepsen/shim/shim.c" -nt "$shim" ]; then
    ${CC:-cc} -O2 -Wall -Wextra -shared -fPIC -o "$shim.$$" "$root/jepsen/shim/shim.c" -ldl -lpthread || exit 2
    mv "$shim.$$" "$shim"
fi

claded=
for path in node/claded bin/claded claded; do
    if [ -x "${CLADE_BUILD:-$root/build/release}/$path" ]; then
        claded=$(cd "${CLADE_BUILD:-$root/build/release}" && pwd -P)/$path
        break
    fi
done
