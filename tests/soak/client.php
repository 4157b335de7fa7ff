<?php // Asks on 8 connections, 64 lines at once on each, for so many seconds; prints how many were answered rightly.
// SPDX-License-Identifier: MIT
[, $socket, $seconds, $seed] = $argv;
mt_srand((int)$seed);
$end = microtime(true) + $seconds;
for ($i = 0; $i < 8; $i++)
    $streams[] = stream_socket_client("unix://$socket");
for ($answered = 0; microtime(true) < $end;) {
    foreach ($streams as $i => $stream) {
        for ($asked[$i] = [], $k = 0; $k < 64; $k++)
            $asked[$i][] = $answered . '-' . mt_rand();
        fwrite($stream, implode("\n", $asked[$i]) . "\n");
    }
    foreach ($streams as $i => $stream) {
        foreach ($asked[$i] as $line) {
            $answer = fgets($stream);
            if ($answer !== "$line " . crc32($line) . "\n") {
                echo "asked $line, answered $answer\n";
                exit(1);
            }
            $answered++;
        }
    }
}
echo "$answered\n";
