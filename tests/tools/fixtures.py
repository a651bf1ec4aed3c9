"""Inert files for tests: programs that cannot run, archives that are odd on purpose.

Every function gives bytes and always the same ones. The "programs" are headers over filler (INT3
and zero bytes); the "infected" ones are the same with header fields moved, filler appended and a
marker text put in. Nothing here holds an instruction that does anything.
"""
import bz2
import gzip
import io
import lzma
import struct
import tarfile
import zipfile
import zlib

# Put together here so that this file itself is not found by a scanner.
FUNLOVE_MARK = b"~Fun Loving " + b"Criminal~"
FUNLOVE_BYTES = 4099
EICAR = b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-" + b"STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"

READ, WRITE, EXECUTE = 0x40000000, 0x80000000, 0x20000000
PAGE, SECTOR = 0x1000, 0x200
HEADERS = 0x400


def _up(n, to):
    return (n + to - 1) // to * to


def pe(sections, entry, plus=False, image_size=None, overlay=b"", cert=b"", section_align=PAGE):
    """A PE file. sections: (name, rva, flags, data) in the order of the table."""
    head = bytearray(HEADERS)
    head[0:2] = b"MZ"
    struct.pack_into("<I", head, 60, 64)
    end = max((rva + max(len(data), 1) for _, rva, _, data in sections), default=HEADERS)
    image_size = _up(end, section_align) if image_size is None else image_size
    raw = _up(HEADERS, SECTOR) + sum(_up(len(d), SECTOR) for _, _, _, d in sections)
    optional = struct.pack("<HBBIIIII", 0x20B if plus else 0x10B, 14, 0, 0, 0, 0, entry, 0x1000)
    optional += struct.pack("<Q", 0x140000000) if plus else struct.pack("<II", 0x2000, 0x400000)
    optional += struct.pack("<IIHHHHHHIIIIHH", section_align, SECTOR, 6, 0, 0, 0, 6, 0, 0,
                            image_size, HEADERS, 0, 3, 0)
    optional += struct.pack("<QQQQ" if plus else "<IIII", 0x100000, 0x1000, 0x100000, 0x1000)
    directories = [(0, 0)] * 16
    if cert:
        directories[4] = (raw + _up(len(overlay), 8), len(cert))
    optional += struct.pack("<II", 0, 16) + b"".join(struct.pack("<II", *d) for d in directories)
    machine = 0x8664 if plus else 0x14C
    at = 64
    coff = b"PE\0\0" + struct.pack("<HHIIIHH", machine, len(sections), 987654321, 0, 0,
                                   len(optional), 0x102)
    head[at:at + len(coff)] = coff
    at += len(coff)
    head[at:at + len(optional)] = optional
    at += len(optional)
    body = b""
    for name, rva, flags, data in sections:
        size = _up(len(data), SECTOR)
        struct.pack_into("<8sIIIIIIHHI", head, at, name, len(data), rva, size,
                         HEADERS + len(body) if size else 0, 0, 0, 0, 0, flags)
        at += 40
        body += data.ljust(size, b"\0")
    tail = overlay.ljust(_up(len(overlay), 8), b"\0") + cert if cert else overlay
    return bytes(head) + body + tail


TEXT = (b".text", 0x1000, READ | EXECUTE, b"\xcc" * 0x200)
DATA = (b".data", 0x2000, READ | WRITE, b"\0" * 0x200)
RELOC = (b".reloc", 0x3000, READ, b"\0" * 0x200)


def clean_pe(plus=False):
    """Three sections, entry point in the first; the size is a multiple of 256."""
    return pe([TEXT, DATA, RELOC], 0x1000, plus)


def _grown(flags):
    """.reloc with 4,099 bytes of filler and the marker behind it, as FunLove grows a section."""
    filler = (b"\xcc" * 64 + FUNLOVE_MARK).ljust(FUNLOVE_BYTES, b"\xcc")
    return (b".reloc", 0x3000, flags, b"\0" * 0x200 + filler)


def funlove_like():
    """As F-Secure describes it: body at the end, eight bytes at the entry point replaced by a jump,
    AddressOfEntryPoint unchanged. The jump leads to INT3 filler."""
    jump = b"\xe9" + struct.pack("<i", 0x3200 - 0x1005) + b"\xcc" * 3
    text = (b".text", 0x1000, READ | EXECUTE, jump + b"\xcc" * 0x1F8)
    whole = pe([text, DATA, _grown(READ | WRITE)], 0x1000)
    # The linker's padding behind the body is not there in an infected file: size mod 256 is 3.
    return whole[:HEADERS + 3 * 0x200 + FUNLOVE_BYTES]


def entry_moved():
    """The same, by the other way: the entry point itself leads into the grown section."""
    return pe([TEXT, DATA, _grown(READ | WRITE | EXECUTE)], 0x3200)


def funlove_repaired():
    """What a cleaner of 1999 left: the body overwritten with zeros, the size kept."""
    return clean_pe() + b"\0" * FUNLOVE_BYTES


def flcss_like():
    """One section named .code and the drop's name: the shape of FLCSS.EXE, without its content."""
    code = b"\xcc" * 64 + b"FLCSS.EXE\0" + FUNLOVE_MARK
    return pe([(b".code", 0x1000, READ | WRITE | EXECUTE, code)], 0x1000)


def zip_of(members, comment=b""):
    """A plain zip; members: name -> bytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
        for name, data in members.items():
            z.writestr(zipfile.ZipInfo(name, (2001, 4, 19, 9, 12, 0)), data,
                       zipfile.ZIP_DEFLATED)
        z.comment = comment
    return out.getvalue()


def tar_of(members):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as t:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            info.mtime = 987654321
            t.addfile(info, io.BytesIO(data))
    return out.getvalue()


def gzip_of(data):
    return gzip.compress(data, mtime=0)


def zip_in_tgz(content=EICAR):
    """content as eicar.com in a zip in a tar.gz."""
    return gzip_of(tar_of({"readme.txt": b"nothing here\n", "in/b.zip": zip_of({"eicar.com": content})}))


def zip_bomb(size=256 << 20):
    """Zeros, packed about 1000 to 1, in a zip in a zip."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    zeros, crc, left, packed = b"\0" * (1 << 20), 0, size, b""
    while left > 0:
        part = zeros[:min(left, len(zeros))]
        packed += deflate.compress(part)
        crc = zlib.crc32(part, crc)
        left -= len(part)
    packed += deflate.flush()
    return zip_of({"inner.zip": raw_zip([(b"zeros.bin", 8, crc, size, packed)])})


def raw_zip(members, local_names=None, gap=b"", flags=0, prefix=b"", suffix=b"", count=None):
    """A zip from its parts, wrong where asked. members: (name, method, crc, size, packed bytes)."""
    out, directory = prefix, b""
    for i, (name, method, crc, size, packed) in enumerate(members):
        local = local_names[i] if local_names else name
        at = len(out)
        out += struct.pack("<IHHHHHIIIHH", 0x04034B50, 20, flags, method, 0, 0x2C93, crc,
                           len(packed), size, len(local), 0) + local + packed + gap
        directory += struct.pack("<IHHHHHHIIIHHHHHII", 0x02014B50, 20, 20, flags, method, 0, 0x2C93,
                                 crc, len(packed), size, len(name), 0, 0, 0, 0, 0, at) + name
    n = len(members) if count is None else count
    end = struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, n, n, len(directory), len(out), 0)
    return out + directory + end + suffix


def stored(name, data):
    return (name, 0, zlib.crc32(data), len(data), data)


def encrypted_zip():
    """The flag of ZipCrypto and 12 bytes where its header would be; nobody can open it."""
    data = b"\0" * 12 + b"never to be read"
    return raw_zip([(b"secret.bin", 0, 0x12345678, len(data) - 12, data)], flags=1)


def cab_of(name, data):
    """A cabinet of one stored file."""
    block = struct.pack("<IHH", 0, len(data), len(data)) + data
    file = struct.pack("<IIHHHH", len(data), 0, 0, 0x2A93, 0, 0x20) + name + b"\0"
    files_at = 36 + 8
    data_at = files_at + len(file)
    folder = struct.pack("<IHH", data_at, 1, 0)
    total = data_at + len(block)
    head = struct.pack("<4sIIIIIBBHHHHH", b"MSCF", 0, total, 0, files_at, 0, 3, 1, 1, 1, 0, 7, 0)
    return head + folder + file + block


def truncated_cab():
    whole = cab_of(b"setup.bin", bytes(range(256)) * 40)
    return whole[:len(whole) // 2]


def weird_tar():
    """Names that climb, that no text can spell, that hide; each with content of its own."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT,
                      encoding="latin-1") as t:
        for i, name in enumerate(["../../etc/passwd", "/absolute", "a\nb", "caf\xe9", "x" * 3000,
                                  "con", "a/./b", "\x1b[2J"]):
            data = b"member %d\n" % i
            info = tarfile.TarInfo(name)
            info.size = len(data)
            t.addfile(info, io.BytesIO(data))
    return out.getvalue()


def nested_zips(levels):
    data = zip_of({"last.txt": b"the end\n"})
    for i in range(levels - 1):
        data = zip_of({"level%d.zip" % i: data})
    return data


# Texts with the words that a rule looks for, inside comments behind an end of the script: a server
# that got one would do nothing. The words are put together here, so that this file is not found.
PHP = b"<?php exit; __halt_compiler(); # inert test text: "
POST = b"$_PO" + b"ST['x']"


def oab_page():
    """Settings of a virtual directory as text; the script tag holds no script."""
    script = b"<scr" + b"ipt language=none>inert</scr" + b"ipt>"
    return (b"Name : OAB (test)\r\nInternalAuthenticationMethods : WindowsIntegrated\r\n"
            b"ExtendedProtectionTokenChecking : None\r\nExternalUrl : http://f/" + script + b"\r\n")


def aspx_comment():
    return b'<%-- inert test text: ev' + b'al(Request.Item["x"], "unsafe") --%>\n'


def mailbox_export():
    return b"!BDN" + b"\0" * 60 + b'<%@ Page Language="inert" %>' + b"\0" * 60


A = stored(b"a.txt", b"aaaa")
B = stored(b"b.txt", b"bbbbbb")
INNER = {"setup.exe": clean_pe(), "readme.txt": b"nothing here\n"}

ALL = {
    "clean.exe": clean_pe,
    "clean64.exe": lambda: clean_pe(True),
    "funlove.exe": funlove_like,
    "moved.exe": entry_moved,
    "repaired.exe": funlove_repaired,
    "flcss.exe": flcss_like,
    "oab.aspx": oab_page,
    "comment.aspx": aspx_comment,
    "mailbox.aspx": mailbox_export,
    "comment.php": lambda: PHP + b"ev" + b"al(" + POST + b");\n",
    "command.php": lambda: PHP + b"sys" + b"tem(" + POST + b");\n",
    "plain.php": lambda: b"<?php echo htmlspecialchars($_GET['name']); ?>\n",
    "plain.aspx": lambda: b'<%@ Page Language="C#" %><script runat="server">// none</script>\n',
    "root.exe": lambda: clean_pe(),
    "mark.txt": lambda: b"An article about " + FUNLOVE_MARK + b" is no program.\n",
    "unsorted.exe": lambda: pe([RELOC, DATA, TEXT], 0x1000),
    "one.exe": lambda: pe([TEXT], 0x1000),
    "none.exe": lambda: pe([], 0),
    "size.exe": lambda: pe([TEXT, DATA, RELOC], 0x1000, image_size=0x9000),
    "signed.exe": lambda: pe([TEXT, DATA, RELOC], 0x1000, cert=b"\x10\0\0\0\0\2\2\0" + b"\0" * 8),
    "followed.exe": lambda: pe([TEXT, DATA, RELOC], 0x1000,
                               cert=b"\x10\0\0\0\0\2\2\0" + b"\0" * 8) + b"appended" * 4,
    "sfx.exe": lambda: pe([TEXT, DATA, RELOC], 0x1000, overlay=cab_of(b"in.txt", b"INSIDE\n")),
    "sfx-zip.exe": lambda: clean_pe() + zip_of({"in.txt": b"INSIDE\n"}),
    "eicar.com": lambda: EICAR,
    "plain.zip": lambda: zip_of(INNER),
    "empty.zip": lambda: zip_of({}),
    "comment.zip": lambda: zip_of(INNER, b"made for a test"),
    "zip-in-tgz.tar.gz": zip_in_tgz,
    "bomb.zip": zip_bomb,
    "encrypted.zip": encrypted_zip,
    "truncated.zip": lambda: zip_of(INNER)[:-30],
    "two-names.zip": lambda: raw_zip([A, A]),
    "names-differ.zip": lambda: raw_zip([A, B], local_names=[b"a.txt", b"c.txt"]),
    "gap.zip": lambda: raw_zip([A, B], gap=b"hidden"),
    "prefix.zip": lambda: b"\xff\xd8\xff\xe0 a picture?" + zip_of(INNER),
    "both-sides.jpg": lambda: b"\xff\xd8\xff\xe0 a picture?" + zip_of(INNER) + b"behind it",
    "module.jmod": lambda: b"JM\1\0" + zip_of(INNER),
    "notmodule.jmod": lambda: b"JM\1\0hidden" + zip_of(INNER),
    "suffix.zip": lambda: zip_of(INNER) + b"behind it",
    "count.zip": lambda: raw_zip([A, B], count=1),
    "two-ends.zip": lambda: zip_of(INNER, zip_of({})),
    "plain.cab": lambda: cab_of(b"in.txt", b"INSIDE\n"),
    "truncated.cab": truncated_cab,
    "plain.tar": lambda: tar_of(INNER),
    "weird.tar": weird_tar,
    "truncated.tar.gz": lambda: gzip_of(tar_of(INNER))[:-20],
    "trailing.gz": lambda: gzip_of(b"INSIDE\n") + b"behind it",
    "deep.zip": lambda: nested_zips(12),
    "plain.gz": lambda: gzip_of(b"INSIDE\n"),
    "plain.xz": lambda: lzma.compress(b"INSIDE\n"),
    "plain.bz2": lambda: bz2.compress(b"INSIDE\n"),
    "empty.gz": lambda: gzip_of(b""),
    "unknown.arj": lambda: b"\x60\xea\x1e\0\x1e\x07\x01\0\x10\0\x02" + b"\0" * 64,
}
