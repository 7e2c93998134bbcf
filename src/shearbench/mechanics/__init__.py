"""The finite element simulator of Mechanical MNIST, on arrays.

The entry point is simulation.py; docs/mechanics.md derives the equations in the notation of the code. The displacements
of a load are in loads.py, which loads fast; the compiler of the simulator takes a third of a second.
"""
