/* The options of a component, asked for by name. What was asked for is remembered, so that a misspelt option is a
 * mistake that the user sees, without a list of names kept beside the questions. */
#include <stdio.h>

#include "inner.h"
#include "json.h"

struct mr_config {
    mr_json *object;
    /* The JSON pointer of this section. */
    const char *path;
    mr_config *root;
    /* Of the root only: mistakes, and the sections that were asked for. */
    mr_issue *issues;
    size_t issues_count;
    size_t issues_room;
    mr_config *sections;
    mr_config *next;
};

static char *joined(const char *a, const char *b, const char *c)
{
    size_t sizes[] = {strlen(a), strlen(b), strlen(c)};
    char *text = mr_alloc_kept(sizes[0] + sizes[1] + sizes[2] + 1);
    memcpy(text, a, sizes[0]);
    memcpy(text + sizes[0], b, sizes[1]);
    memcpy(text + sizes[0] + sizes[1], c, sizes[2] + 1);
    return text;
}

/* The pointer of a member: `/` and the name, with `~` and `/` escaped. */
static const char *pointer(const mr_config *config, const char *name)
{
    char *escaped = mr_alloc_kept(strlen(name) * 2 + 1);
    char *out = escaped;
    for (const char *c = name; *c != 0; c++) {
        if (*c == '~' || *c == '/') {
            *out++ = '~';
            *out++ = *c == '~' ? '0' : '1';
        } else {
            *out++ = *c;
        }
    }
    *out = 0;
    return joined(config->path, "/", escaped);
}

static void note(mr_config *config, const char *path, const char *reason)
{
    mr_config *root = config->root;
    /* Grown in memory of the call: configure answers with it, and then it is over. */
    root->issues = mr_grow(root->issues, root->issues_count, &root->issues_room, root->issues_count + 1, sizeof(mr_issue));
    root->issues[root->issues_count++] = (mr_issue){mr_text(path), mr_text(joined(reason, "", ""))};
}

void mr_config_issue(mr_config *config, const char *name, const char *reason)
{
    note(config, *name == 0 ? config->path : pointer(config, name), reason);
}

mr_config *mr_config_read(mr_bytes json)
{
    mr_config *config = mr_alloc_kept(sizeof *config);
    *config = (mr_config){.object = mr_json_read(json.at, json.size), .path = "", .root = config};
    if (config->object == NULL || config->object->kind != MR_JSON_OBJECT) {
        note(config, "", "expected a JSON object");
        config->object = NULL;
    }
    return config;
}

static mr_json *member(mr_config *config, const char *name)
{
    if (config == NULL || config->object == NULL) {
        return NULL;
    }
    mr_json *found = NULL;
    for (mr_json *m = config->object->first; m != NULL; m = m->next) {
        if (strcmp(m->name, name) == 0) {
            m->is_used = true;
            found = m;
        }
    }
    return found;
}

static void wrong(mr_config *config, const char *name, const char *expected, const mr_json *found)
{
    mr_config_issue(config, name, joined(joined("expected ", expected, ", found "), mr_json_kind_name(found), ""));
}

bool mr_config_has(mr_config *config, const char *name) { return member(config, name) != NULL; }

bool mr_config_require(mr_config *config, const char *name)
{
    if (mr_config_has(config, name)) {
        return true;
    }
    if (config != NULL) {
        note(config, config->path, joined("the option \"", name, "\" is missing"));
    }
    return false;
}

/* A text without a zero inside, or NULL with the mistake noted. */
static const char *text_of(mr_config *config, const char *name, const mr_json *value)
{
    if (value->kind != MR_JSON_TEXT) {
        wrong(config, name, "a text", value);
        return NULL;
    }
    if (strlen(value->text) != value->text_size) {
        mr_config_issue(config, name, "a zero byte has no place here");
        return NULL;
    }
    return value->text;
}

const char *mr_config_text(mr_config *config, const char *name, const char *fallback)
{
    mr_json *value = member(config, name);
    const char *text = value == NULL ? NULL : text_of(config, name, value);
    return text == NULL ? fallback : text;
}

int64_t mr_config_integer(mr_config *config, const char *name, int64_t fallback, int64_t min, int64_t max)
{
    mr_json *value = member(config, name);
    if (value == NULL) {
        return fallback;
    }
    if (!value->is_integer || value->integer < min || value->integer > max) {
        char range[80];
        snprintf(range, sizeof range, "an integer from %lld to %lld", (long long)min, (long long)max);
        wrong(config, name, range, value);
        return fallback;
    }
    return value->integer;
}

double mr_config_number(mr_config *config, const char *name, double fallback)
{
    mr_json *value = member(config, name);
    if (value == NULL) {
        return fallback;
    }
    if (value->kind != MR_JSON_NUMBER) {
        wrong(config, name, "a number", value);
        return fallback;
    }
    return value->number;
}

bool mr_config_flag(mr_config *config, const char *name, bool fallback)
{
    mr_json *value = member(config, name);
    if (value == NULL) {
        return fallback;
    }
    if (value->kind != MR_JSON_FLAG) {
        wrong(config, name, "true or false", value);
        return fallback;
    }
    return value->flag;
}

/* The values of an option that may be given once or several times. */
static size_t values_of(mr_config *config, const char *name, mr_json **first)
{
    mr_json *value = member(config, name);
    *first = value != NULL && value->kind == MR_JSON_LIST ? value->first : value;
    return value == NULL ? 0 : value->kind == MR_JSON_LIST ? value->count : 1;
}

size_t mr_config_texts(mr_config *config, const char *name, const char *const **texts)
{
    mr_json *value;
    size_t count = values_of(config, name, &value);
    const char **list = mr_alloc_kept((count + 1) * sizeof *list);
    for (size_t i = 0; i < count; i++, value = value->next) {
        const char *text = text_of(config, name, value);
        list[i] = text == NULL ? "" : text;
    }
    *texts = list;
    return count;
}

size_t mr_config_integers(mr_config *config, const char *name, const int64_t **integers)
{
    mr_json *value;
    size_t count = values_of(config, name, &value);
    int64_t *list = mr_alloc_kept((count + 1) * sizeof *list);
    for (size_t i = 0; i < count; i++, value = value->next) {
        if (!value->is_integer) {
            wrong(config, name, "an integer", value);
        }
        list[i] = value->integer;
    }
    *integers = list;
    return count;
}

mr_config *mr_config_section(mr_config *config, const char *name)
{
    mr_json *value = member(config, name);
    if (value == NULL) {
        return NULL;
    }
    if (value->kind != MR_JSON_OBJECT) {
        wrong(config, name, "options", value);
        return NULL;
    }
    for (mr_config *s = config->root->sections; s != NULL; s = s->next) {
        if (s->object == value) {
            return s;
        }
    }
    mr_config *section = mr_alloc_kept(sizeof *section);
    mr_config *root = config->root;
    *section = (mr_config){.object = value, .path = pointer(config, name), .root = root, .next = root->sections};
    root->sections = section;
    return section;
}

static void note_unused(mr_config *config)
{
    if (config->object == NULL) {
        return;
    }
    for (mr_json *m = config->object->first; m != NULL; m = m->next) {
        if (!m->is_used) {
            mr_config_issue(config, m->name, "unknown option");
        }
    }
}

size_t mr_config_issues(mr_config *config, const mr_issue **issues)
{
    note_unused(config);
    for (mr_config *s = config->sections; s != NULL; s = s->next) {
        note_unused(s);
    }
    *issues = config->issues;
    return config->issues_count;
}
