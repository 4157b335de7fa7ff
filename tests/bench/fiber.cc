/* SPDX-License-Identifier: MIT */
// fiber FIBERS ALIVE: as life.php, with Boost.Fiber and its protected stacks.
#include <boost/fiber/all.hpp>
#include <boost/fiber/protected_fixedsize_stack.hpp>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <vector>

int main(int, char **argument)
{
	long fibers = std::atol(argument[1]), alive = std::atol(argument[2]), done = 0;
	auto start = std::chrono::steady_clock::now();

	for (; done < fibers; done += alive) {
		std::vector<boost::fibers::fiber> held;

		for (long i = 0; i < alive; i++)
			held.emplace_back(std::allocator_arg, boost::fibers::protected_fixedsize_stack(),
			        [] { boost::this_fiber::yield(); });
		for (auto &fiber : held)
			fiber.join();
	}
	std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - start;
	std::printf("%.0f\n", took.count() / done);
}
