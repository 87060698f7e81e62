"""Every figure and table: ``python -m paper_figs --list`` names them, ``python -m paper_figs`` makes them.

A figure is ``compute(context) -> DataFrame`` and ``draw(frame) -> matplotlib Figure``; arithmetic belongs to
``theory``, ``sim`` and ``real``. Nothing imports this package.
"""
