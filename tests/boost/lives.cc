/* SPDX-License-Identifier: MIT */
// lives ROUNDS THREADS [overflow]: Boost.Fiber, Boost.Coroutine2 and Boost.Context with protected stacks, in all the ways that a
// coroutine's life can end, in several threads; prints a sum. With `overflow` the last one uses more stack than it has.
#include <boost/context/continuation.hpp>
#include <boost/context/fiber.hpp>
#include <boost/context/protected_fixedsize_stack.hpp>
#include <boost/coroutine2/all.hpp>
#include <boost/coroutine2/protected_fixedsize_stack.hpp>
#include <boost/fiber/all.hpp>
#include <boost/fiber/protected_fixedsize_stack.hpp>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <thread>
#include <vector>

namespace context = boost::context;
using coroutine = boost::coroutines2::coroutine<long>;

// Uses so much stack, and gives n back.
__attribute__((noinline)) static long dig(long n, long depth)
{
	volatile char used[512];

	std::memset(const_cast<char *>(used), 0x55, sizeof used);
	return depth == 0 ? n : dig(n, depth - 1) + used[0] - 0x55;
}

static long by_fibers(long round)
{
	std::vector<boost::fibers::fiber> fibers;
	long sum = 0;

	for (long i = 0; i < 8; i++)
		fibers.emplace_back(std::allocator_arg, boost::fibers::protected_fixedsize_stack(), [&sum, i, round] {
			boost::this_fiber::yield();
			sum += dig(i, round % 40);
		});
	for (auto &fiber : fibers)
		fiber.join();
	return sum;
}

// Ends, is left, throws.
static long by_coroutines(long round)
{
	long sum = 0;

	try {
		coroutine::pull_type source(boost::coroutines2::protected_fixedsize_stack(), [round](coroutine::push_type &sink) {
			sink(dig(round, round % 30));
			if (round % 3 == 0)
				throw std::runtime_error("out");
			sink(1); // never taken when the round is even: unwound from outside
		});
		sum += source.get();
		if (round % 2)
			source();
	} catch (const std::runtime_error &) {
		sum++;
	}
	return sum;
}

static long by_contexts(long round)
{
	long sum = 0;
	context::fiber one(std::allocator_arg, context::protected_fixedsize_stack(), [&sum, round](context::fiber &&back) {
		sum += dig(round, 3);
		back = std::move(back).resume();
		sum += 2;
		return std::move(back);
	});
	one = std::move(one).resume();
	if (round % 2)
		one = std::move(one).resume();
	context::continuation other = context::callcc(std::allocator_arg, context::protected_fixedsize_stack(),
	        [&sum](context::continuation &&back) {
		        sum += 3;
		        return back.resume();
	        });
	return sum + !!other;
}

int main(int count, char **argument)
{
	long rounds = std::atol(argument[1]), number = std::atol(argument[2]), sum = 0;
	std::vector<long> sums(number);
	std::vector<std::thread> threads;

	for (long t = 0; t < number; t++)
		threads.emplace_back([&sums, t, rounds] {
			for (long round = 0; round < rounds; round++)
				sums[t] += by_fibers(round) + by_coroutines(round) + by_contexts(round);
		});
	for (auto &thread : threads)
		thread.join();
	for (long one : sums)
		sum += one;
	std::printf("%ld\n", sum);
	std::fflush(stdout);
	if (count > 3)
		boost::fibers::fiber(std::allocator_arg, boost::fibers::protected_fixedsize_stack(), [&sum] {
			sum = dig(1, 10000);
		}).join();
}
