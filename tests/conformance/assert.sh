# What the shell's judges share: each assertion is a line, and none ends the script.

# is <what> <found> <expected>
is() {
  if [ "$2" = "$3" ]; then echo "ok $1"; else echo "not ok $1: expected '$3', found '${2:0:500}'"; fi
}

# has <what> <found> <extended regular expression>
has() {
  if grep -Eq -- "$3" <<< "$2"; then echo "ok $1"; else echo "not ok $1: no '$3' in '${2:0:500}'"; fi
}

# lacks <what> <found> <extended regular expression>
lacks() {
  local line
  if line=$(grep -E -- "$3" <<< "$2"); then echo "not ok $1: '${line:0:500}'"; else echo "ok $1"; fi
}
