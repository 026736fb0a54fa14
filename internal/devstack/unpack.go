package devstack

import (
	"archive/tar"
	"archive/zip"
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/ulikunitz/xz"
)

// unpackPostgres replaces the one jar in dir, which holds a tar file packed by xz, by that file's content.
func unpackPostgres(dir string) error {
	jars, err := filepath.Glob(filepath.Join(dir, "*.jar"))
	if err != nil {
		return fmt.Errorf("list %s: %w", dir, err)
	}
	if len(jars) != 1 {
		return fmt.Errorf("%s holds %d jars, expected one", dir, len(jars))
	}
	jar, err := zip.OpenReader(jars[0])
	if err != nil {
		return fmt.Errorf("open %s: %w", jars[0], err)
	}
	defer func() { _ = jar.Close() }() // only read
	for _, f := range jar.File {
		if !strings.HasSuffix(f.Name, ".txz") {
			continue
		}
		packed, err := f.Open()
		if err != nil {
			return fmt.Errorf("open %s in %s: %w", f.Name, jars[0], err)
		}
		if err := untar(packed, dir); err != nil {
			return fmt.Errorf("unpack %s of %s: %w", f.Name, jars[0], errors.Join(err, packed.Close()))
		}
		if err := packed.Close(); err != nil {
			return fmt.Errorf("unpack %s of %s: %w", f.Name, jars[0], err)
		}
		return os.Remove(jars[0])
	}
	return fmt.Errorf("%s holds no .txz file", jars[0])
}

// untar writes files, folders and links below dir; os.Root keeps every name inside it.
func untar(packed io.Reader, dir string) error {
	plain, err := xz.NewReader(bufio.NewReaderSize(packed, 1<<20))
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	for archive := tar.NewReader(plain); ; {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := untarOne(root, h, archive); err != nil {
			return fmt.Errorf("%s: %w", h.Name, err)
		}
	}
}

func untarOne(root *os.Root, h *tar.Header, content io.Reader) error {
	name := filepath.Clean(h.Name)
	if h.Typeflag == tar.TypeDir {
		return root.MkdirAll(name, 0o755)
	}
	if err := root.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	switch h.Typeflag {
	case tar.TypeReg:
		// Readable by all, because root's Postgres runs as another user.
		f, err := root.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, fs.FileMode(h.Mode)&0o111|0o644)
		if err != nil {
			return err
		}
		_, err = io.Copy(f, content)
		return errors.Join(err, f.Close())
	case tar.TypeSymlink:
		return root.Symlink(h.Linkname, name)
	case tar.TypeLink:
		return root.Link(filepath.Clean(h.Linkname), name)
	}
	return fmt.Errorf("unexpected kind %q", h.Typeflag)
}
