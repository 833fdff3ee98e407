"""`python -m medray.predict`."""

from medray.predict.predict_command import main

main()
