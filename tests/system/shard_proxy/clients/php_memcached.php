<?php
// php-memcached (Debian, on libmemcached) through everything that it offers in the text protocol.
//
//   php php_memcached.php PORT    EMPTIES the server; prints one line per call, see record.py

$port = (int) $argv[1];
$binary = implode('', array_map('chr', range(0, 255)));

function connect(int $port): Memcached {
    $client = new Memcached();
    $client->setOption(Memcached::OPT_TCP_NODELAY, true);
    $client->setOption(Memcached::OPT_COMPRESSION, false);
    $client->addServer('127.0.0.1', $port);
    return $client;
}

function shown($value): string {
    $flags = JSON_INVALID_UTF8_SUBSTITUTE | JSON_UNESCAPED_SLASHES | JSON_PARTIAL_OUTPUT_ON_ERROR;
    $text = json_encode($value, $flags);
    if (is_string($value) && !preg_match('//u', $value)) $text = '"hex ' . bin2hex($value) . '"';
    return strlen($text) > 4000 ? strlen($text) . ' characters, CRC ' . crc32($text) : $text;
}

$client = connect($port);

// Every answer is the value and the library's own result code, its message without the address.
function note(string $name, callable $action): void {
    global $client;
    try {
        $value = $action();
    } catch (Throwable $error) {
        echo "$name -> raises " . get_class($error) . ': ' . $error->getMessage() . "\n";
        return;
    }
    $code = $client->getResultCode();
    echo "$name -> " . shown($value) . ($code ? ' ' . $client->getResultMessage() : '') . "\n";
}

function run(string $name, ...$words): void {
    global $client;
    $text = implode(', ', array_map('shown', $words));
    if (strlen($text) > 80) $text = substr($text, 0, 60) . '..' . crc32($text);
    note("$name($text)", fn() => $client->$name(...$words));
}

function without_cas($found) {
    if (is_array($found) && isset($found['cas'])) $found['cas'] = 'CAS';
    if (!is_array($found)) return $found;
    return array_map(fn($item) => is_array($item) ? without_cas($item) : $item, $found);
}

function one(string $binary): void {
    global $client;
    run('flush');
    run('set', 'a', 'text');
    run('get', 'a');
    run('get', 'missing');
    note('get with a callback', fn() => $client->get('computed', function ($memc, $key, &$value) {
        $value = "made of $key";
        return true;
    }));
    foreach ([42, 2.5, true, null, ['a' => [1, null]], '', $binary . "\r\nEND\r\n"] as $value) {
        run('set', 'typed', $value);
        run('get', 'typed');
    }
    run('set', 'big', str_repeat('x', 1000000));
    run('get', 'big');
    run('set', 'too_big', str_repeat('x', 1048576));
    run('get', 'too_big');
    run('add', 'a', 'again');
    run('add', 'b', 'm');
    run('replace', 'b', 'n');
    run('replace', 'missing', 'n');
    run('append', 'b', 'z');
    run('prepend', 'b', 'a');
    run('append', 'missing', 'z');
    run('get', 'b');
    run('set', 'n', 5);
    run('increment', 'n');
    run('increment', 'n', 10);
    run('decrement', 'n', 3);
    run('decrement', 'n', 100);
    run('increment', 'missing');
    run('increment', 'b');
    run('touch', 'b', 100);
    run('touch', 'missing', 100);
    run('set', 'gone', 'x', -1);
    run('get', 'gone');
    note('get with cas', fn() => without_cas($client->get('b', null, Memcached::GET_EXTENDED)));
    $cas = $client->get('b', null, Memcached::GET_EXTENDED)['cas'];
    note('cas', fn() => $client->cas($cas, 'b', 'c'));
    note('cas again', fn() => $client->cas($cas, 'b', 'd'));
    note('cas missing', fn() => $client->cas($cas, 'missing', 'd'));
    run('delete', 'b');
    run('delete', 'b');
    run('checkKey', 'two words');
    $keys = [str_repeat('k', 250), str_repeat('k', 251), 'two words', "line\r\nfeed", ''];
    foreach ($keys as $key) {
        run('set', $key, 'x');
        run('get', $key);
    }
}

function many(): void {
    global $client;
    $items = [];
    for ($i = 0; $i < 300; ++$i) $items["m$i"] = $i;
    run('setMulti', $items);
    $keys = [...array_keys($items), 'missing'];
    note('getMulti', fn() => $client->getMulti($keys, Memcached::GET_PRESERVE_ORDER));
    note('getMulti with cas', function () use ($client) {
        $found = $client->getMulti(['m1', 'm2', 'missing'], Memcached::GET_EXTENDED);
        ksort($found);
        return without_cas($found);
    });
    run('getMulti', []);
    note('getDelayed', fn() => $client->getDelayed(['m1', 'm2', 'm3', 'missing'], true));
    note('fetch', fn() => without_cas($client->fetch()));
    note('fetchAll', fn() => without_cas($client->fetchAll()));
    run('fetch');
    run('deleteMulti', ['m1', 'm2', 'missing']);
    foreach (['set', 'add', 'replace', 'append', 'prepend'] as $name) {
        run($name . 'ByKey', 'where', 'bk', $name);
    }
    run('getByKey', 'where', 'bk');
    run('getMultiByKey', 'where', ['bk']);
    run('touchByKey', 'where', 'bk', 100);
    run('deleteByKey', 'where', 'bk');
}

// The library sends these without waiting: the next answer must still be its own.
function without_answers(): void {
    global $client;
    $client->setOption(Memcached::OPT_NOREPLY, true);
    for ($i = 0; $i < 100; ++$i) run('set', "q$i", $i);
    run('delete', 'q1');
    run('delete', 'missing');
    run('append', 'missing', 'x');
    $client->setOption(Memcached::OPT_NOREPLY, false);
    run('getMulti', ['q0', 'q1', 'q2']);
    $client->setOption(Memcached::OPT_BUFFER_WRITES, true);
    for ($i = 0; $i < 20; ++$i) run('set', "buffered$i", $i);
    run('flushBuffers');
    run('getMulti', ['buffered0', 'buffered19']);
    // This ends the library's connection.
    $client->setOption(Memcached::OPT_BUFFER_WRITES, false);
}

function whole_server(int $port): void {
    global $client;
    note('getVersion', fn() => array_values($client->getVersion()));
    foreach ([null, 'settings', 'slabs'] as $form) {
        note("getStats $form", function () use ($client, $form) {
            $stats = array_values($form ? $client->getStats($form) : $client->getStats());
            $names = array_keys($stats[0] ?? []);
            sort($names);
            return $names;
        });
    }
    run('setOption', Memcached::OPT_PREFIX_KEY, 'pre:');
    run('set', 'x', 1);
    run('setOption', Memcached::OPT_PREFIX_KEY, '');
    run('get', 'pre:x');
    run('flush', 100);
    run('get', 'pre:x');
    run('flush');
    run('get', 'pre:x');
    run('set', 'x', 1);
    run('quit');
    run('get', 'x');
    $client = connect($port);
    run('get', 'x');
}

$parts = ['one' => [$binary], 'many' => [], 'without_answers' => [], 'whole_server' => [$port]];
foreach ($parts as $part => $words) {
    echo "# $part\n";
    $part(...$words);
}
