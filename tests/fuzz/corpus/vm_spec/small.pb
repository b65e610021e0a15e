
demo€€€@"
pc-q35-7.2*qemu642tcg