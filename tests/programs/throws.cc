/* SPDX-License-Identifier: MIT */
// Exceptions through many frames, threads and a destructor, whose unwinder that is, and, when asked for,
// coroutine stacks in between, or an exception that nobody catches.
#include <dlfcn.h>
#include <sys/mman.h>
#include <unwind.h>

#include <cstdio>
#include <cstring>
#include <stdexcept>
#include <string>
#include <thread>

static unsigned destroyed;

struct witness {
	~witness()
	{
		destroyed++;
	}
};

[[gnu::noinline]] static void fall(unsigned frames)
{
	witness here;
	if (frames == 0)
		throw std::runtime_error("the ground");
	fall(frames - 1);
}

static void *held[64];

[[gnu::noinline]] static void use_stack(unsigned i)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK;

	if (held[i % 64] != nullptr)
		munmap(held[i % 64], 16384);
	held[i % 64] = mmap(nullptr, 16384, PROT_READ | PROT_WRITE, flags, -1, 0);
}

static void tell_unwinder()
{
	void *symbol = dlsym(RTLD_DEFAULT, "_Unwind_RaiseException");
	Dl_info found;

	if (symbol != nullptr && dladdr(symbol, &found) != 0)
		std::printf("unwinder %s\n", std::strrchr(found.dli_fname, '/') + 1);
	if (dlsym(RTLD_DEFAULT, "_Ux86_64_step") != nullptr)
		std::printf("libunwind is within reach\n");
	dladdr(reinterpret_cast<void *>(&_Unwind_RaiseException), &found);
	std::printf("bound to %s\n", std::strrchr(found.dli_fname, '/') + 1);
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
	bool has_stacks = argc > 1 && std::strcmp(argv[1], "stacks") == 0;

	for (unsigned i = 0; i < 1000; i++) {
		if (has_stacks)
			use_stack(i);
		caught += catches();
	}
	tell_unwinder();
	std::thread([&] { caught += catches(); }).join();
	std::printf("%u caught, %u destroyed\n", caught, destroyed);
	std::fflush(stdout);
	if (argc > 1 && std::strcmp(argv[1], "uncaught") == 0)
		fall(3);
	return caught == 1001 && destroyed == 1001 * 51 ? 0 : 1;
}
