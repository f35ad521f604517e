<?php
// Plays an application: prints where to send the browser, reads where it ended up, prints the proof.

require __DIR__ . '/application.php';

[$url, $kept] = begin();
echo "$url\n";
echo json_encode(finish(trim(fgets(STDIN)), $kept)), "\n";
