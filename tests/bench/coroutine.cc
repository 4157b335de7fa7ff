/* SPDX-License-Identifier: MIT */
// coroutine FIBERS ALIVE: as life.php, with Boost.Coroutine2 and its protected stacks.
#include <boost/coroutine2/all.hpp>
#include <boost/coroutine2/protected_fixedsize_stack.hpp>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <vector>

using coroutine = boost::coroutines2::coroutine<void>;

int main(int, char **argument)
{
	long fibers = std::atol(argument[1]), alive = std::atol(argument[2]), done = 0;
	auto start = std::chrono::steady_clock::now();

	for (; done < fibers; done += alive) {
		std::vector<coroutine::push_type> held;

		for (long i = 0; i < alive; i++) {
			held.emplace_back(boost::coroutines2::protected_fixedsize_stack(),
			        [](coroutine::pull_type &suspend) { suspend(); });
			held.back()();
		}
		for (auto &one : held)
			one();
	}
	std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - start;
	std::printf("%.0f\n", took.count() / done);
}
