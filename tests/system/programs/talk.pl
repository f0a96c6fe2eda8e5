# SCTP by Perl's own module: a child that serves, streams on sockets.
use strict;
use warnings;
use Socket;
use IO::Handle;

my $sctp = 132;
socket(my $listener, PF_INET, SOCK_STREAM, $sctp) or die "socket: $!";
bind($listener, sockaddr_in(0, INADDR_LOOPBACK)) or die "bind: $!";
listen($listener, 5) or die "listen: $!";
my $address = getsockname($listener);
my $child = fork();
if ($child == 0) {
	accept(my $accepted, $listener) or die "accept: $!";
	my $line = <$accepted>;
	print $accepted "you said: $line";
	close $accepted;
	exit 3;
}
socket(my $client, PF_INET, SOCK_STREAM, $sctp) or die "socket: $!";
connect($client, $address) or die "connect: $!";
$client->autoflush(1);
print $client "hello\n";
print scalar <$client>;
waitpid($child, 0);
print "the child exited with ", $? >> 8, "\n";
