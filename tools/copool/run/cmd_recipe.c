/* SPDX-License-Identifier: MIT */
/*
 * copool recipe: how a kind of service is started with the library. The pages of tools/service are linked into the
 * command, so that it needs no other file. They name paths as Debian's packages have them; those of this machine are
 * printed instead.
 */
#include <argp.h>
#include <glob.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clean.h"
#include "copool.h"
#include "run/launch.h"
#include "verb.h"

/* Each page begins with "# KIND: WHAT\n" and ends with a zero byte; an empty one follows the last. */
extern const char service_pages[];

/* What a page says, and what this machine has instead. */
struct place {
	const char *paged;
	char here[PATH_MAX + 32];
};

enum { LIBRARY, COMMAND, FPM, FPM_UNIT, FPM_FOLDER, PLACES };

static const char *const paged[PLACES] = {
        [LIBRARY] = "/usr/lib/x86_64-linux-gnu/libcopool.so",
        [COMMAND] = "/usr/bin/copool",
        [FPM] = "php-fpm8.2",
        [FPM_UNIT] = "php8.2-fpm",
        [FPM_FOLDER] = "/etc/php/8.2/",
};

static error_t parse(int key, char *value, struct argp_state *state)
{
	const char **kind = state->input;

	if (key != ARGP_KEY_ARG)
		return ARGP_ERR_UNKNOWN;
	if (*kind != NULL)
		argp_error(state, "one kind at a time");
	*kind = value;
	return 0;
}

static const struct argp argp = {
        .parser = parse,
        .args_doc = "[KIND]",
        .doc = "Prints how to start a KIND of service with the library: the steps, how to see that it works, "
               "how to undo it, and on what it was tried. Without KIND, lists the kinds.\v"
               "Paths on the page are those of this machine.\n\n"
               "The exit status is 0; 1 if the page cannot be written; 2 for a wrong option or KIND.",
};

static const char *next_page(const char *page)
{
	return page + strlen(page) + 1;
}

/* The length of the KIND in a page's first line, which begins after "# ". */
static int kind_length(const char *page)
{
	return (int)strcspn(page + 2, ":");
}

static const char *find_page(const char *kind)
{
	for (const char *page = service_pages; *page != '\0'; page = next_page(page)) {
		if ((size_t)kind_length(page) == strlen(kind) && strncmp(page + 2, kind, strlen(kind)) == 0)
			return page;
	}
	return NULL;
}

static void list_kinds(void)
{
	for (const char *page = service_pages; *page != '\0'; page = next_page(page)) {
		const char *what = page + 2 + kind_length(page) + 2;
		printf("%-12.*s  %.*s\n", kind_length(page), page + 2, (int)strcspn(what, "\n"), what);
	}
}

static int refuse(const char *kind)
{
	fprintf(stderr, "copool recipe: there is no page for `%s'; there are", clean(kind));
	for (const char *page = service_pages; *page != '\0'; page = next_page(page))
		fprintf(stderr, "%s %.*s", page == service_pages ? "" : ",", kind_length(page), page + 2);
	fprintf(stderr, "\n");
	return EXIT_USAGE;
}

/* Why a service may be unable to load the file, or NULL. */
static const char *why_unloadable(const char *path)
{
	static const char *const hidden[] = {"/home/", "/root/", "/tmp/", "/var/tmp/", "/run/user/"};
	char part[PATH_MAX];
	struct stat status;

	if (strpbrk(path, " :%") != NULL)
		return "its path has a blank, a colon or a percent sign";
	for (size_t i = 0; i < sizeof hidden / sizeof hidden[0]; i++) {
		if (strncmp(path, hidden[i], strlen(hidden[i])) == 0)
			return "units with ProtectHome= or PrivateTmp= do not see it";
	}
	for (const char *end = strchr(path + 1, '/'); end != NULL; end = strchr(end + 1, '/')) {
		snprintf(part, sizeof part, "%.*s", (int)(end - path), path);
		if (stat(part, &status) != 0 || (status.st_mode & S_IXOTH) == 0)
			return "other users may not enter its folder";
	}
	if (stat(path, &status) != 0 || (status.st_mode & S_IROTH) == 0)
		return "other users may not read it";
	return NULL;
}

/* Finds the places of this machine. What it does not have stays as the pages say it. */
static void find_places(struct place *places)
{
	char *library = places[LIBRARY].here, *command = places[COMMAND].here;
	const char *why;
	glob_t found;

	for (int i = 0; i < PLACES; i++) {
		places[i].paged = paged[i];
		snprintf(places[i].here, sizeof places[i].here, "%s", paged[i]);
	}
	if (launch_find_shim(library) != 0) {
		snprintf(library, PATH_MAX, "%s", paged[LIBRARY]);
		fprintf(stderr, "copool recipe: libcopool.so is not here; the page has Debian's path\n");
	} else if ((why = why_unloadable(library)) != NULL) {
		fprintf(stderr,
		        "copool recipe: a service may be unable to load %s: %s. Install copool first\n",
		        clean(library), why);
	}
	ssize_t length = readlink("/proc/self/exe", command, PATH_MAX - 1);
	if (length > 0)
		command[length] = '\0';
	else
		snprintf(command, PATH_MAX, "%s", paged[COMMAND]);
	if (glob("/usr/sbin/php-fpm[0-9]*", 0, NULL, &found) == 0) {
		const char *version = found.gl_pathv[found.gl_pathc - 1] + strlen("/usr/sbin/php-fpm");
		snprintf(places[FPM].here, PATH_MAX, "php-fpm%s", version);
		snprintf(places[FPM_UNIT].here, PATH_MAX, "php%s-fpm", version);
		snprintf(places[FPM_FOLDER].here, PATH_MAX, "/etc/php/%s/", version);
		globfree(&found);
	}
}

static void print_page(const char *page, const struct place *places)
{
	while (*page != '\0') {
		const struct place *place = NULL;
		for (int i = 0; i < PLACES && place == NULL; i++) {
			if (strncmp(page, places[i].paged, strlen(places[i].paged)) == 0)
				place = &places[i];
		}
		if (place != NULL)
			page += printf("%s", place->here) < 0 ? 1 : strlen(place->paged);
		else
			putchar(*page++);
	}
}

int cmd_recipe(int argc, char **argv)
{
	static struct place places[PLACES];
	const char *kind = NULL, *page;

	argp_parse(&argp, argc, argv, 0, NULL, &kind);
	if (kind == NULL) {
		list_kinds();
		return verb_end("recipe", 0, 1);
	}
	page = find_page(kind);
	if (page == NULL)
		return refuse(kind);
	find_places(places);
	print_page(page, places);
	return verb_end("recipe", 0, 1);
}
