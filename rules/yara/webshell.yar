/* Web shells: few rules, kept narrow, because a product may rightly ship scripts.
 * Patterns are regular expressions or bytes, so that this file does not match itself. */
rule WebShell_Exchange_OAB_Settings
{
    meta:
        description = "virtual directory settings with a script in the address, as ProxyLogon left"
        severity = "malicious"
        source = "CVE-2021-27065: content of the dropped pages (Volexity, FireEye, March 2021)"
    strings:
        $url = /(Ex|In)ternalUrl {0,40}: {0,3}\S{0,60}(<script|%@ {0,3}Page)[^\r\n]{0,400}/ nocase
        $auth = "InternalAuthenticationMethods" nocase
        $token = "ExtendedProtectionTokenChecking" nocase
    condition:
        filesize < 50KB and all of them
}

rule WebShell_Exchange_Mailbox_Export
{
    meta:
        description = "exported mailbox file with a page directive, as ProxyShell left"
        severity = "malicious"
        source = "CVE-2021-34473: a PST file (mark !BDN) under a page's name"
    strings:
        $page = /<%@ {0,3}Page [^%]{0,80}Language *=/ nocase
        $script = /<script [^>]{0,80}runat *= *.server/ nocase
    condition:
        uint32(0) == 0x4E444221 and filesize < 2MB and any of them
}

rule WebShell_ASPX_Eval_Of_Request
{
    meta:
        description = "page that evaluates text from the request with full rights"
        severity = "malicious"
        source = "one-line back doors of 2021: eval of a request item, marked unsafe"
    strings:
        $tag = /<(%|script)/ nocase
        $eval = /\beval *\( *(Request|System\.Text\.Encoding)[^\r\n]{1,200}, *.unsafe. *\)/ nocase
    condition:
        filesize < 200KB and $tag and $eval
}

rule WebShell_PHP_Eval_Of_Request
{
    meta:
        description = "script that runs text from the request"
        severity = "malicious"
        source = "one-line back doors: eval or assert of a request variable, perhaps decoded"
    strings:
        $tag = "<?"
        $eval = /\b(eval|assert)[ \t]*\([ \t]*@?((base64_decode|gzinflate|str_rot13|stripslashes)[ \t]*\([ \t]*){0,3}@?\$_(POST|GET|REQUEST|COOKIE)[ \t]*[\[\{]/
    condition:
        filesize < 200KB and $tag and $eval
}

rule WebShell_PHP_Command_Of_Request
{
    meta:
        description = "script that hands text from the request to a shell"
        severity = "suspicious"
        source = "as above; some careless administration pages do it too"
    strings:
        $tag = "<?"
        $run = /\b(system|passthru|shell_exec|popen|proc_open|pcntl_exec)[ \t]*\([ \t]*@?\$_(POST|GET|REQUEST|COOKIE)[ \t]*[\[\{]/
    condition:
        filesize < 200KB and $tag and $run
}
