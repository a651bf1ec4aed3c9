/* FunLove (W32.FunLove.4099), November 1999, and what is left of it.
 * Sources of each fact: README.md. A clean text that speaks of the marker is not matched. */
rule FunLove_Marker
{
    meta:
        description = "program that holds the FunLove marker text"
        severity = "malicious"
        source = "pctipp.ch, pcwelt.de (November 1999): the text stands in infected files"
    strings:
        $mark = { 7E 46 75 6E 20 4C 6F 76 69 6E 67 20 43 72 69 6D 69 6E 61 6C 7E }
    condition:
        uint16(0) == 0x5A4D and uint32(uint32(0x3C)) == 0x00004550 and $mark
}

rule FunLove_Drop
{
    meta:
        description = "program of one section named .code that names FLCSS.EXE"
        severity = "malicious"
        source = "F-Secure; antivirus.about.com: the dropped FLCSS.EXE has one section .code"
    strings:
        $name = { 46 4C 43 53 53 2E (45 58 45 | 65 78 65) }
    condition:
        uint16(0) == 0x5A4D and uint32(uint32(0x3C)) == 0x00004550 and
        uint16(uint32(0x3C) + 6) == 1 and
        uint32(uint32(0x3C) + 24 + uint16(uint32(0x3C) + 20)) == 0x646F632E and
        uint16(uint32(0x3C) + 28 + uint16(uint32(0x3C) + 20)) == 0x0065 and
        filesize < 64KB and $name
}
