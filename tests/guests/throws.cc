// Exceptions through many frames, threads and a destructor, and one that nobody catches when asked for.
#include <cstdio>
#include <cstring>
#include <stdexcept>
#include <string>
#include <thread>

static unsigned destroyed;

struct witness {
	~witness() { destroyed++; }
};

[[gnu::noinline]] static void fall(unsigned frames)
{
	witness here;
	if (frames == 0)
		throw std::runtime_error("the ground");
	fall(frames - 1);
}

static bool catches()
{
	try {
		fall(50);
	} catch (const std::exception &caught) {
		return std::string(caught.what()) == "the ground";
	}
	return false;
}

int main(int argc, char **argv)
{
	unsigned caught = 0;

	for (unsigned i = 0; i < 1000; i++)
		caught += catches();
	std::thread([&] { caught += catches(); }).join();
	std::printf("%u caught, %u destroyed\n", caught, destroyed);
	std::fflush(stdout);
	if (argc > 1 && std::strcmp(argv[1], "uncaught") == 0)
		fall(3);
	return caught == 1001 && destroyed == 1001 * 51 ? 0 : 1;
}
