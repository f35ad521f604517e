// Plays an application: prints where to send the browser, reads where it ended up, prints the proof.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net/url"
	"os"
)

func main() {
	link, kept, err := Begin()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(link)
	lines := bufio.NewScanner(os.Stdin)
	lines.Scan()
	back, err := url.Parse(lines.Text())
	if err != nil {
		log.Fatal(err)
	}
	info, err := Finish(context.Background(), back, kept)
	if err != nil {
		log.Fatal(err)
	}
	json.NewEncoder(os.Stdout).Encode(info)
}
