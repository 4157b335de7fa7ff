<?php
// SPDX-License-Identifier: MIT
// server.php: a small HTTP server, built as frameworks with fibers are: each connection has a fiber that waits for its
// requests, each request one that makes the answer, and what a request asks for at the same time a fiber each. The data
// comes from another process, as it would from a database. It listens on a free port of the loopback interface, prints
// the port, and ends when its standard input does.
//
//   GET /item/N   one question to the data's process
//   GET /page/N   three at the same time, and a page of the answers
//
// server.php data: that other process. server.php silent PORT CONNECTIONS: holds open so many connections that ask nothing,
// says so in a line, and ends when its standard input does.

const MOST_CONNECTIONS = 1000; // select takes no descriptor from 1024 on

final class Loop
{
	private static array $readers = []; // stream id => [stream, fiber that waits, or function to call]
	private static array $writers = [];
	private static array $ready = []; // [fiber, what it is resumed with]

	public static function on_readable($stream, callable $call): void
	{
		self::$readers[(int)$stream] = [$stream, $call];
	}

	public static function forget($stream): void
	{
		unset(self::$readers[(int)$stream]);
	}

	public static function await_readable($stream): void
	{
		self::$readers[(int)$stream] = [$stream, Fiber::getCurrent()];
		Fiber::suspend();
	}

	public static function await_writable($stream): void
	{
		self::$writers[(int)$stream] = [$stream, Fiber::getCurrent()];
		Fiber::suspend();
	}

	public static function resume(Fiber $fiber, mixed $with = null): void
	{
		self::$ready[] = [$fiber, $with];
	}

	public static function run(): void
	{
		while (true) {
			while (self::$ready) {
				$batch = self::$ready;
				self::$ready = [];
				foreach ($batch as [$fiber, $with]) {
					$fiber->resume($with);
				}
			}
			Data::flush();
			self::wait();
		}
	}

	private static function wait(): void
	{
		$readable = array_column(self::$readers, 0);
		$writable = array_column(self::$writers, 0);
		$except = null;
		if (stream_select($readable, $writable, $except, null) === false) {
			return;
		}
		foreach ($writable as $stream) {
			[, $fiber] = self::$writers[(int)$stream];
			unset(self::$writers[(int)$stream]);
			self::resume($fiber);
		}
		foreach ($readable as $stream) {
			[, $waits] = self::$readers[(int)$stream];
			if ($waits instanceof Fiber) {
				unset(self::$readers[(int)$stream]);
				self::resume($waits);
			} else {
				$waits();
			}
		}
	}
}

// Starts each function in a fiber of its own, and waits until all have returned.
function all(callable ...$functions): array
{
	$parent = Fiber::getCurrent();
	$results = [];
	$waits = false;
	foreach ($functions as $key => $function) {
		$fiber = new Fiber(function () use ($key, $function, $functions, $parent, &$results, &$waits): void {
			$results[$key] = $function();
			if ($waits && count($results) === count($functions)) {
				Loop::resume($parent);
			}
		});
		$fiber->start();
	}
	if (count($results) < count($functions)) {
		$waits = true;
		Fiber::suspend();
	}
	return $results;
}

// The connection to the data's process: many questions at once, `ID KEY` a line, answered by `ID VALUE`.
final class Data
{
	private static $stream;
	private static array $waiting = []; // id => fiber
	private static int $id = 0;
	private static string $out = '';
	private static string $in = '';

	public static function connect(): void
	{
		$command = [PHP_BINARY, '-n', __FILE__, 'data'];
		$process = proc_open($command, [['socket'], ['socket']], $pipes);
		$process !== false || exit(1);
		[self::$stream, $answers] = $pipes;
		$GLOBALS['process'] = $process; // which would be waited for where it is freed
		stream_set_blocking($answers, false);
		Loop::on_readable($answers, fn() => self::receive($answers));
	}

	public static function ask(string $key): string
	{
		self::$waiting[++self::$id] = Fiber::getCurrent();
		self::$out .= self::$id . " $key\n";
		return Fiber::suspend();
	}

	public static function flush(): void
	{
		if (self::$out !== '') {
			fwrite(self::$stream, self::$out);
			self::$out = '';
		}
	}

	private static function receive($answers): void
	{
		$got = fread($answers, 65536);
		if ($got === '' && feof($answers)) {
			fwrite(STDERR, "the data's process has ended\n");
			exit(1);
		}
		$lines = explode("\n", self::$in . $got);
		self::$in = array_pop($lines);
		foreach ($lines as $line) {
			[$id, $value] = explode(' ', $line, 2);
			$fiber = self::$waiting[(int)$id];
			unset(self::$waiting[(int)$id]);
			Loop::resume($fiber, $value);
		}
	}

	public static function serve(): void
	{
		$in = '';
		while (($got = fread(STDIN, 65536)) !== '' && $got !== false) {
			$lines = explode("\n", $in . $got);
			$in = array_pop($lines);
			$out = '';
			foreach ($lines as $line) {
				[$id, $key] = explode(' ', $line, 2);
				$out .= "$id $key=" . hash('xxh3', $key) . "\n";
			}
			fwrite(STDOUT, $out);
		}
	}
}

final class Connection
{
	private string $in = '';

	public function __construct(private $stream)
	{
	}

	// In the connection's fiber.
	public function serve(): void
	{
		while (($request = $this->request()) !== null) {
			[$target, $keeps] = $request;
			[$response] = all(fn() => respond($target, $keeps));
			if (!$this->send($response) || !$keeps) {
				break;
			}
		}
		fclose($this->stream);
	}

	// The next request's target, and whether the connection is kept; null when there is none, or no good one.
	private function request(): ?array
	{
		while (($end = strpos($this->in, "\r\n\r\n")) === false) {
			Loop::await_readable($this->stream);
			$got = fread($this->stream, 16384);
			if ($got === '' || $got === false || strlen($this->in) > 65536) {
				return null;
			}
			$this->in .= $got;
		}
		$lines = explode("\r\n", substr($this->in, 0, $end));
		$this->in = substr($this->in, $end + 4);
		$line = explode(' ', array_shift($lines));
		if (count($line) !== 3 || $line[0] !== 'GET') {
			return null;
		}
		$headers = [];
		foreach ($lines as $header) {
			[$name, $value] = explode(':', $header, 2) + ['', ''];
			$headers[strtolower($name)] = trim($value);
		}
		return [$line[1], strtolower($headers['connection'] ?? '') !== 'close'];
	}

	private function send(string $response): bool
	{
		while (true) {
			$sent = @fwrite($this->stream, $response);
			if ($sent === strlen($response)) {
				return true;
			}
			if ($sent === false) {
				return false;
			}
			$response = substr($response, $sent);
			Loop::await_writable($this->stream);
		}
	}
}

// In the request's fiber.
function respond(string $target, bool $keeps): string
{
	[, $what, $id] = explode('/', $target) + ['', '', ''];
	[$status, $type, $body] = match ($what) {
		'item' => ['200 OK', 'text/plain', Data::ask("item:$id") . "\n"],
		'page' => ['200 OK', 'text/html', page($id)],
		default => ['404 Not Found', 'text/plain', "There is /item/N and /page/N.\n"],
	};
	return "HTTP/1.1 $status\r\nContent-Type: $type\r\nContent-Length: " . strlen($body)
		. ($keeps ? '' : "\r\nConnection: close") . "\r\n\r\n$body";
}

function page(string $id): string
{
	$parts = all(
		user: fn() => Data::ask("user:$id"),
		items: fn() => Data::ask("items:$id"),
		news: fn() => Data::ask("news:$id"),
	);
	$rows = '';
	foreach (['user', 'items', 'news'] as $name) {
		$rows .= "<tr><th>$name</th><td>" . htmlspecialchars($parts[$name]) . "</td></tr>\n";
	}
	return "<!doctype html>\n<title>Page " . htmlspecialchars($id) . "</title>\n<table>\n$rows</table>\n";
}

function hold_silent(int $port, int $connections): void
{
	$held = [];
	while (count($held) < $connections) {
		$held[] = stream_socket_client("tcp://127.0.0.1:$port") ?: exit(1);
	}
	echo "$connections are open\n";
	fgets(STDIN);
}

function serve(): void
{
	$context = stream_context_create(['socket' => ['backlog' => MOST_CONNECTIONS, 'tcp_nodelay' => true]]);
	$flags = STREAM_SERVER_BIND | STREAM_SERVER_LISTEN;
	$server = stream_socket_server('tcp://127.0.0.1:0', $code, $why, $flags, $context);
	$server !== false || exit(1);
	stream_set_blocking($server, false);
	Data::connect();
	$open = 0;
	$accept = function () use ($server, &$accept, &$open): void {
		while ($open < MOST_CONNECTIONS && ($client = @stream_socket_accept($server, 0)) !== false) {
			stream_set_blocking($client, false);
			stream_set_read_buffer($client, 0);
			$open++;
			$fiber = new Fiber(function () use ($client, $server, &$accept, &$open): void {
				(new Connection($client))->serve();
				$open--;
				Loop::on_readable($server, $accept);
			});
			$fiber->start();
		}
		if ($open === MOST_CONNECTIONS) {
			Loop::forget($server);
		}
	};
	Loop::on_readable($server, $accept);
	Loop::on_readable(STDIN, fn() => fgets(STDIN) === false && exit(0));
	echo substr(strrchr(stream_socket_get_name($server, false), ':'), 1), "\n";
	Loop::run();
}

match ($argv[1] ?? '') {
	'' => serve(),
	'data' => Data::serve(),
	'silent' => hold_silent((int)$argv[2], (int)$argv[3]),
};
