<?php // Serves each line that comes in a fiber of its own, which waits once before it answers with its checksum; until one says `quit`.
// SPDX-License-Identifier: MIT
$server = stream_socket_server("unix://$argv[1]");
$clients = $pending = [];
while (true) {
    $readable = [$server, ...$clients];
    $none = null;
    if (stream_select($readable, $none, $none, null) === false)
        continue;
    $waiting = [];
    foreach ($readable as $stream) {
        if ($stream === $server) {
            $client = stream_socket_accept($server);
            $clients[(int)$client] = $client;
            $pending[(int)$client] = '';
            continue;
        }
        $got = fread($stream, 65536);
        if ($got === '' || $got === false) {
            unset($clients[(int)$stream], $pending[(int)$stream]);
            fclose($stream);
            continue;
        }
        $lines = explode("\n", $pending[(int)$stream] . $got);
        $pending[(int)$stream] = array_pop($lines);
        foreach ($lines as $line) {
            if ($line === 'quit')
                exit(0);
            $fiber = new Fiber(function () use ($stream, $line) {
                $sum = crc32($line);
                Fiber::suspend();
                fwrite($stream, "$line $sum\n");
            });
            $fiber->start();
            $waiting[] = $fiber;
        }
    }
    foreach ($waiting as $fiber)
        $fiber->resume();
    unset($fiber, $waiting);
}
