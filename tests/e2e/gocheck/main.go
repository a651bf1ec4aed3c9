// gocheck verifies a log folder or server with Go's own packages for signed notes and tiles.
//
// usage: gocheck -vkey KEY [-old CHECKPOINT]... [-proof FILE] [-every N] DIR|URL
//
// It opens the checkpoint, reads every entry and compares its hash with the tree, proves every Nth
// entry's inclusion, proves that the tree grew from each older checkpoint, and checks a proof file.
// The arithmetic is all Go's; only paths and bundles are read here (C2SP tlog-tiles).
package main

import (
	"bytes"
	"encoding/binary"
	"flag"
	"fmt"
	"io/ioutil"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const height = 8

type source string

func (s source) get(path string) ([]byte, error) {
	if !strings.Contains(string(s), "://") {
		return ioutil.ReadFile(filepath.Join(string(s), path))
	}
	answer, err := http.Get(string(s) + "/" + path)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != 200 {
		return nil, fmt.Errorf("%s: %s", path, answer.Status)
	}
	return ioutil.ReadAll(answer.Body)
}

// path turns Go's tile/8/0/x001/067.p/5 into tile/0/x001/067.p/5, and data into entries.
func path(t tlog.Tile) string {
	p := strings.TrimPrefix(t.Path(), fmt.Sprintf("tile/%d/", height))
	if strings.HasPrefix(p, "data/") {
		p = "entries/" + strings.TrimPrefix(p, "data/")
	}
	return "tile/" + p
}

// tile falls back to the full tile, as readers must once the partial one is gone.
func (s source) tile(t tlog.Tile) ([]byte, error) {
	data, err := s.get(path(t))
	if err != nil && t.W < 1<<height {
		full := t
		full.W = 1 << height
		if more, again := s.get(path(full)); again == nil {
			return more, nil
		}
	}
	return data, err
}

func (s source) Height() int { return height }

func (s source) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var out [][]byte
	for _, t := range tiles {
		data, err := s.tile(t)
		if err != nil {
			return nil, err
		}
		if len(data) > t.W*tlog.HashSize {
			data = data[:t.W*tlog.HashSize]
		}
		out = append(out, data)
	}
	return out, nil
}

func (s source) SaveTiles([]tlog.Tile, [][]byte) {}

// cached keeps authenticated tiles' bytes, so that many proofs read each file once.
type cached struct {
	source
	held map[tlog.Tile][]byte
}

func (c cached) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var out [][]byte
	for _, t := range tiles {
		data, ok := c.held[t]
		if !ok {
			got, err := c.source.ReadTiles([]tlog.Tile{t})
			if err != nil {
				return nil, err
			}
			data = got[0]
			c.held[t] = data
		}
		out = append(out, data)
	}
	return out, nil
}

func open(signed []byte, key note.Verifier) (tlog.Tree, error) {
	n, err := note.Open(signed, note.VerifierList(key))
	if err != nil {
		return tlog.Tree{}, err
	}
	lines := strings.Split(n.Text, "\n")
	if len(lines) < 4 || lines[0] != key.Name() {
		return tlog.Tree{}, fmt.Errorf("not a checkpoint of %s", key.Name())
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return tlog.Tree{}, err
	}
	root, err := tlog.ParseHash(lines[2])
	return tlog.Tree{N: size, Hash: root}, err
}

func bundle(data []byte, want int) ([][]byte, error) {
	var entries [][]byte
	for len(data) > 0 {
		if len(data) < 2 || len(data)-2 < int(binary.BigEndian.Uint16(data)) {
			return nil, fmt.Errorf("bundle is cut short")
		}
		n := 2 + int(binary.BigEndian.Uint16(data))
		entries = append(entries, data[2:n])
		data = data[n:]
	}
	if len(entries) < want {
		return nil, fmt.Errorf("bundle of %d entries, not %d", len(entries), want)
	}
	return entries[:want], nil
}

type checker struct {
	from   source
	tree   tlog.Tree
	hashes tlog.HashReader
	every  int64
	leaf   []tlog.Hash
}

func (c *checker) entries() error {
	for first := int64(0); first < c.tree.N; first += 1 << height {
		t := tlog.Tile{H: height, L: -1, N: first >> height, W: 1 << height}
		if c.tree.N-first < 1<<height {
			t.W = int(c.tree.N - first)
		}
		data, err := c.from.tile(t)
		if err != nil {
			return err
		}
		got, err := bundle(data, t.W)
		if err != nil {
			return fmt.Errorf("%s: %v", path(t), err)
		}
		var index []int64
		for i := range got {
			index = append(index, tlog.StoredHashIndex(0, first+int64(i)))
		}
		want, err := c.hashes.ReadHashes(index)
		if err != nil {
			return err
		}
		for i, entry := range got {
			if tlog.RecordHash(entry) != want[i] {
				return fmt.Errorf("%s: entry %d is not the one in the tree", path(t), first+int64(i))
			}
			c.leaf = append(c.leaf, want[i])
		}
	}
	return nil
}

func (c *checker) inclusion() (int, error) {
	n := 0
	for i := int64(0); i < c.tree.N; i += c.every {
		p, err := tlog.ProveRecord(c.tree.N, i, c.hashes)
		if err == nil {
			err = tlog.CheckRecord(p, c.tree.N, c.tree.Hash, i, c.leaf[i])
		}
		if err != nil {
			return n, fmt.Errorf("entry %d: %v", i, err)
		}
		n++
	}
	return n, nil
}

func (c *checker) grew(from tlog.Tree) error {
	if from.N == 0 {
		return nil
	}
	p, err := tlog.ProveTree(c.tree.N, from.N, c.hashes)
	if err != nil {
		return err
	}
	return tlog.CheckTree(p, c.tree.N, c.tree.Hash, from.N, from.Hash)
}

// proof reads a c2sp.org/tlog-proof@v1 file and lets Go check it.
func (c *checker) proof(file []byte, key note.Verifier) error {
	cut := bytes.Index(file, []byte("\n\n"))
	if cut < 0 {
		return fmt.Errorf("no empty line")
	}
	tree, err := open(file[cut+2:], key)
	if err != nil {
		return err
	}
	lines := strings.Split(string(file[:cut]), "\n")
	if len(lines) < 2 || lines[0] != "c2sp.org/tlog-proof@v1" || !strings.HasPrefix(lines[1], "index ") {
		return fmt.Errorf("not a proof file")
	}
	index, err := strconv.ParseInt(strings.TrimPrefix(lines[1], "index "), 10, 64)
	if err != nil || index >= int64(len(c.leaf)) {
		return fmt.Errorf("index %d: %v", index, err)
	}
	var p tlog.RecordProof
	for _, line := range lines[2:] {
		h, err := tlog.ParseHash(line)
		if err != nil {
			return err
		}
		p = append(p, h)
	}
	return tlog.CheckRecord(p, tree.N, tree.Hash, index, c.leaf[index])
}

type list []string

func (l *list) String() string     { return strings.Join(*l, " ") }
func (l *list) Set(s string) error { *l = append(*l, s); return nil }

func check(err error, what string) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "gocheck: %s: %v\n", what, err)
		os.Exit(1)
	}
}

func main() {
	var old list
	vkey := flag.String("vkey", "", "verifier key of the log")
	proof := flag.String("proof", "", "proof file to check")
	every := flag.Int64("every", 1, "prove every Nth entry")
	flag.Var(&old, "old", "older checkpoint; repeatable")
	flag.Parse()
	if flag.NArg() != 1 || *every < 1 {
		flag.Usage()
		os.Exit(2)
	}
	key, err := note.NewVerifier(*vkey)
	check(err, "verifier key")
	from := source(strings.TrimSuffix(flag.Arg(0), "/"))
	signed, err := from.get("checkpoint")
	check(err, "read checkpoint")
	tree, err := open(signed, key)
	check(err, "open checkpoint")
	tiles := cached{from, map[tlog.Tile][]byte{}}
	c := &checker{from: from, tree: tree, hashes: tlog.TileHashReader(tree, tiles), every: *every}
	root, err := tlog.TreeHash(tree.N, c.hashes)
	if tree.N > 0 { // TreeHash of nothing is not RFC 6962's
		check(err, "root")
		if root != tree.Hash {
			check(fmt.Errorf("%v, not %v", root, tree.Hash), "root")
		}
	}
	check(c.entries(), "entries")
	n, err := c.inclusion()
	check(err, "inclusion")
	for _, name := range old {
		signed, err := ioutil.ReadFile(name)
		check(err, name)
		before, err := open(signed, key)
		check(err, name)
		check(c.grew(before), name)
	}
	if *proof != "" {
		file, err := ioutil.ReadFile(*proof)
		check(err, *proof)
		check(c.proof(file, key), *proof)
	}
	fmt.Printf("%d entries, %d inclusion proofs, %d older checkpoints: good\n", tree.N, n, len(old))
}
