<?php
// Both styles of SCTP sockets by PHP's sockets extension, a child at the other end.
function name(Socket $socket): array
{
    socket_getsockname($socket, $address, $port);
    return [$address, $port];
}

$listener = socket_create(AF_INET, SOCK_STREAM, 132);
socket_bind($listener, '127.0.0.1', 0);
socket_listen($listener, 5);
[$address, $port] = name($listener);
$child = pcntl_fork();
if ($child == 0) {
    $client = socket_create(AF_INET, SOCK_STREAM, 132);
    socket_connect($client, $address, $port);
    socket_write($client, 'hello php');
    exit(socket_read($client, 100) === 'HELLO PHP' ? 3 : 1);
}
$server = socket_accept($listener);
$ready = [$server];
$none = null;
echo socket_select($ready, $none, $none, 5), "\n";
socket_write($server, strtoupper(socket_read($server, 100)));
var_dump(socket_read($server, 100));
pcntl_wait($status);
echo 'the child exited with ', pcntl_wexitstatus($status), "\n";

$many = socket_create(AF_INET6, SOCK_SEQPACKET, 132);
socket_bind($many, '::1', 0);
socket_listen($many, 5);
[$address, $port] = name($many);
$other = socket_create(AF_INET6, SOCK_SEQPACKET, 132);
socket_sendto($other, 'to many', 7, 0, $address, $port);
socket_recvfrom($many, $text, 100, 0, $from, $port);
echo $text, ' from ', $from, "\n";
