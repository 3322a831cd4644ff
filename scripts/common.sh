# Shared by the scripts of this folder: `. "$(dirname "$0")/common.sh"`. Not to be run by itself.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

say() { printf '==> %s\n' "$*"; }
die() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; exit 1; }

build_packages=(g++ cmake ninja-build pkg-config libzmq3-dev cppzmq-dev rapidjson-dev libsimdjson-dev libzstd-dev
  zlib1g-dev libyaml-cpp-dev libre2-dev libxxhash-dev libcli11-dev libfmt-dev libexpected-dev libssl-dev libsqlite3-dev
  libspdlog-dev libsystemd-dev libseccomp-dev doctest-dev python3 zstd)

# What one processor takes to compile the programs, about.
programs_minutes=10

# To make the .deb.
package_packages=(dpkg-dev file gzip)

as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    die "packages are missing and neither root nor sudo is here; as root: apt-get install $*"
  fi
}

# Installs the Debian packages of its arguments that are missing, and says which. Touches nothing when all are there.
install_packages() {
  local missing=() package
  for package in "$@"; do
    dpkg-query -W -f='${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return
  say "installing Debian packages: ${missing[*]}"
  as_root apt-get update -qq
  local log
  log=$(mktemp)
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >"$log" 2>&1 || {
    tail -n 40 "$log" >&2
    rm -f "$log"
    die "apt-get install failed"
  }
  rm -f "$log"
}

# Where scripts/in keeps the Debian of that name.
debian_folder() { printf '%s\n' "${XDG_CACHE_HOME:-$HOME/.cache}/leat/$1"; }

# To compile for arm64 on another machine, and to run that: libraries of both, programs of this one.
install_arm64_packages() {
  local package there packages=(g++-aarch64-linux-gnu qemu-user)
  if ! dpkg --print-foreign-architectures | grep -qx arm64; then as_root dpkg --add-architecture arm64; fi
  as_root apt-get update -qq
  there=$(apt-cache show "${build_packages[@]/%/:arm64}" 2>/dev/null | sed -n 's/^Package: //p') || true
  for package in "${build_packages[@]}"; do
    [ "$package" != g++ ] || continue
    if [[ $package == *-dev ]] && grep -qx "$package" <<<"$there"; then package+=:arm64; fi
    packages+=("$package")
  done
  install_packages "${packages[@]}"
}

# build PRESET [TARGET ...]: configures when that is needed, and builds.
build() {
  local preset=$1
  shift
  local folder=$root/build
  [ "$preset" = release ] || folder=$root/build-$preset
  local launcher=()
  command -v ccache >/dev/null && launcher=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
  # On a terminal ninja tells how far it is.
  local quiet=(--quiet) about=
  [ ! -t 1 ] || quiet=()
  [ -f "$folder/build.ninja" ] || [ "$*" != programs ] || about=", the first time about $(((programs_minutes + $(nproc) - 1) / $(nproc))) minutes"
  say "building ($preset) into ${folder#"$root"/}/$about"
  (cd "$root" && cmake --preset "$preset" "${launcher[@]}" ${LEAT_CMAKE_FLAGS:-} >"/tmp/leat-cmake-$$.log" 2>&1) || {
    cat "/tmp/leat-cmake-$$.log" >&2
    rm -f "/tmp/leat-cmake-$$.log"
    die "cmake failed"
  }
  rm -f "/tmp/leat-cmake-$$.log"
  cmake --build "$folder" -j "$(nproc)" -- "${quiet[@]}" "$@"
}
