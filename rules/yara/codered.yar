/* Code Red II, August 2001: the back door is a copy of the system's own shell, so only its place
 * tells. Where no path is known these match nothing. */
rule CodeRedII_Back_Door
{
    meta:
        description = "root.exe in a folder that the web server runs programs from"
        severity = "malicious"
        source = "Microsoft's Code Red guide of 8 August 2001"
    condition:
        uint16(0) == 0x5A4D and
        filepath matches /(inetpub[\/\\]scripts|system[\/\\]msadc)[\/\\]root\.exe$/i
}
