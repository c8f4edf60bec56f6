# Says how many of some calls of openat2 go wrong: an emulator that passes the guest's flags on as they are mistakes
# O_DIRECTORY and O_NOFOLLOW, whose numbers are others on aarch64. One that does not know the call may say so (ENOSYS).
use strict;
use warnings;
use Errno qw(ENOSYS ENOTDIR ELOOP EINVAL);

my ($AT_FDCWD, $OPENAT2, $ENOSYS) = (-100, 437, ENOSYS);
my ($O_CLOEXEC, $O_DIRECTORY, $O_NOFOLLOW) = (02000000, 040000, 0100000);
my ($RESOLVE_BENEATH, $RESOLVE_NO_SYMLINKS) = (0x08, 0x04);

mkdir "/tmp/d";
symlink "d", "/tmp/l";
open my $made, ">", "/tmp/f" or die "write /tmp/f: $!";
close $made;
chdir "/tmp" or die "chdir: $!";

my @cases = (
    [ "d", $O_CLOEXEC | $O_DIRECTORY,               $RESOLVE_BENEATH,     0 ],
    [ "f", $O_CLOEXEC,                              $RESOLVE_BENEATH,     0 ],
    [ "f", $O_CLOEXEC | $O_DIRECTORY,               0,                    ENOTDIR ],
    [ "l", $O_CLOEXEC | $O_NOFOLLOW,                0,                    ELOOP ],
    [ "l", $O_CLOEXEC | $O_DIRECTORY,               $RESOLVE_NO_SYMLINKS, ELOOP ],
    [ "d", $O_CLOEXEC | $O_DIRECTORY | $O_NOFOLLOW, $RESOLVE_BENEATH,     0 ],
);
my $wrong = 0;
for my $case (@cases) {
    my ($name, $flags, $resolve, $wanted) = @$case;
    my ($path, $how) = ("$name\0", pack("QQQ", $flags, 0, $resolve));
    my $fd = syscall($OPENAT2, $AT_FDCWD, $path, $how, length $how);
    my $error = $fd < 0 ? $! + 0 : 0;
    $wrong++ unless $error == $wanted || $error == $ENOSYS;
}
print "$wrong\n";
