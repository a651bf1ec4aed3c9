#include "serve/openapi.h"

#include "base/mem.h"

const struct openapi_op openapi_ops[] = {
    {"admit.begin", "build", "Open a batch of files of one product version.",
     "product! version! hold rename emergency provenance"},
    {"admit.end", "build", "Sign and publish what the batch holds.", "batch!"},
    {"release.list", "release, responder", "Every release and its state.", ""},
    {"release.show", "release, responder", "The files of a release.", "product! version!"},
    {"release.approve", "release", "Approve a release as the second person.", "product! version!"},
    {"withhold", "release, responder", "Stop handing out a file; reversible, nobody is told.",
     "what! reason!"},
    {"recall", "release", "Take a file back for good; every client learns of it.",
     "what! reason! replace"},
    {"lift", "release", "End a withholding, or a recall that was a false alarm.", "what! reason!"},
    {"stop.all", "release, responder", "Withhold everything: the big switch.", "reason!"},
    {"product.set", "release", "Who may have a product, and who may send it.",
     "product! access channel"},
    {"product.list", "release, responder", "The products.", ""},
    {"org.add", "release", "Add an organisation.", "name! contact! manager language"},
    {"org.grant", "release", "Grant a product to an organisation, or take it back.",
     "name! product! revoke"},
    {"org.erase", "release", "Erase an organisation; counts stay.", "name!"},
    {"org.list", "release, responder", "The organisations.", ""},
    {"org.import", "release", "Add organisations from CSV text.", "csv!"},
    {"account.add", "release", "Add an account; the answer holds its token, once.",
     "org! user! password_hash"},
    {"account.disable", "release, responder", "Disable an account.", "org! user!"},
    {"account.erase", "release", "Erase an account's personal data.", "org! user!"},
    {"account.list", "release, responder", "The accounts of an organisation.", "org"},
    {"account.import", "release", "Add accounts from the text of an htpasswd file.",
     "org! htpasswd!"},
    {"incident.scope", "responder", "Who has what: targets, deliveries, organisations, window.",
     "targets[] sha256[] paths[] rule node org from to"},
    {"log.event", "responder", "An entry of the log.", "index!"},
    {"log.part", "responder", "A part of an entry, opened.", "index! part!"},
    {NULL, NULL, NULL, NULL},
};

/* Schemas name the members; what each holds is the operation's own business to check. */
static json_t *schema(const char *members)
{
    struct span rest = span_str(members), word;
    json_t *o = js_new(), *properties = js_new(), *required = js_list();
    while (members[0] != 0 && span_cut(&rest, ' ', &word)) {
        bool list = word.len > 2 && word.p[word.len - 1] == ']';
        bool must = word.p[word.len - 1] == '!';
        CLEANUP(mem_free)
        char *name = mem_text(word.p, word.len - (list ? 2u : 0u) - (must ? 1u : 0u));
        json_t *p = js_new();
        if (list) {
            json_t *items = js_new();
            js_set_str(p, "type", "array");
            js_set_str(items, "type", "string");
            js_set(p, "items", items);
        }
        js_set(properties, name, p);
        if (must) {
            js_add_str(required, name);
        }
    }
    js_set_str(o, "type", "object");
    js_set(o, "properties", properties);
    js_set(o, "required", required);
    return o;
}

static json_t *json_content(json_t *take)
{
    json_t *media = js_new(), *content = js_new(), *o = js_new();
    js_set(media, "schema", take);
    js_set(content, "application/json", media);
    js_set(o, "content", content);
    return o;
}

static json_t *responses(void)
{
    json_t *all = js_new(), *good = json_content(schema("")),
           *bad = json_content(schema("error! message!"));
    js_set_str(good, "description", "What the command of the same name prints with --json.");
    js_set_str(bad, "description", "What failed, why, and the next step.");
    js_set(all, "200", good);
    js_set(all, "default", bad);
    return all;
}

static json_t *operation(const char *id, const char *summary, const char *role)
{
    json_t *o = js_new();
    CLEANUP(mem_free)
    char *text = mem_printf("For operators of role %s. The request is signed.", role);
    js_set_str(o, "operationId", id);
    js_set_str(o, "summary", summary);
    js_set_str(o, "description", text);
    js_set(o, "responses", responses());
    return o;
}

static json_t *parameter(const char *in, const char *name, const char *text)
{
    json_t *p = js_new(), *s = js_new();
    js_set_str(p, "name", name);
    js_set_str(p, "in", in);
    js_set_bool(p, "required", true);
    js_set_str(p, "description", text);
    js_set_str(s, "type", "string");
    js_set(p, "schema", s);
    return p;
}

static json_t *signature_headers(void)
{
    json_t *list = js_list();
    js_add(list, parameter("header", "X-Cordon-Operator", "the operator's name"));
    js_add(list, parameter("header", "X-Cordon-Time", "RFC 3339, at most five minutes off"));
    js_add(list, parameter("header", "X-Cordon-Nonce", "32 hex digits, never used before"));
    js_add(list,
           parameter("header", "X-Cordon-Signature",
                     "base64 of Ed25519 over cordon-request/v1, method, path and query, time, "
                     "nonce, hex SHA-256 of the body, a line each"));
    return list;
}

static json_t *upload(void)
{
    json_t *path = js_new(), *list = signature_headers(), *body = js_new(), *content = js_new();
    json_t *put = operation("upload", "Add a file to a batch; the body is the file.", "build");
    js_add(list, parameter("query", "batch", "from admit.begin"));
    js_add(list, parameter("query", "path", "the file's name within the release"));
    js_add(list, parameter("query", "sha256", "of the file"));
    js_set(put, "parameters", list);
    js_set(content, "application/octet-stream", js_new());
    js_set(body, "content", content);
    js_set_bool(body, "required", true);
    js_set(put, "requestBody", body);
    js_set(path, "put", put);
    return path;
}

json_t *openapi_document(void)
{
    json_t *doc = js_new(), *info = js_new(), *paths = js_new();
    js_set_str(doc, "openapi", "3.1.0");
    js_set_str(info, "title", "Cordon");
    js_set_str(info, "version", CORDON_VERSION);
    js_set(doc, "info", info);
    for (const struct openapi_op *o = openapi_ops; o->op != NULL; o++) {
        CLEANUP(mem_free) char *at = mem_printf("/api/v1/%s", o->op);
        json_t *path = js_new(), *post = operation(o->op, o->summary, o->role);
        js_set(post, "parameters", signature_headers());
        js_set(post, "requestBody", json_content(schema(o->members)));
        js_set(path, "post", post);
        js_set(paths, at, path);
    }
    js_set(paths, "/api/v1/upload", upload());
    js_set(doc, "paths", paths);
    return doc;
}
